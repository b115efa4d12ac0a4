"""The ranks of words: pages of the most frequent ones, and the ranks of given ones."""

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Select, select, text
from sqlalchemy.orm import Session

from shared.text_tables import TextVocabulary, TextWord
from workers.runtime.run import InvalidInput
from workers.text.tokenise import cut
from workers.text.vocabulary import AT_ONCE, read_tokeniser

PAGE = 10_000  # words read at once where all are wanted
ORDER = (TextWord.count.desc(), TextWord.first_seen)
_CURSOR = re.compile(r"([0-9]{1,18})\.([0-9]{1,18})\.([0-9]{1,18})", re.ASCII)

# Written once, for a job may ask a thousand times.
_COUNT = "(SELECT count(*) FROM text_words WHERE vocabulary_id = :vocabulary_id AND "
_COUNT_TIES = text(
    f"SELECT {_COUNT} count = :end_count AND first_seen > :start_seen AND first_seen <= :end_seen)"
)
_COUNT_RANGES = text(
    f"SELECT {_COUNT} count = :start_count AND first_seen > :start_seen)"
    f" + {_COUNT} count < :start_count AND count > :end_count)"
    f" + {_COUNT} count = :end_count AND first_seen <= :end_seen)"
)


@dataclass(frozen=True)
class Place:
    """Where a page ends: the last word's count and age, and its rank at the time."""

    count: int
    first_seen: int
    rank: int

    @classmethod
    def parse(cls, cursor: str) -> "Place":
        """Raises InvalidInput for what `str` of a place never gave."""
        match = _CURSOR.fullmatch(cursor)
        if match is None:
            raise InvalidInput("`after` is not the `next` of a page before. Leave it out to start.")
        return cls(*map(int, match.groups()))

    def __str__(self) -> str:
        return f"{self.count}.{self.first_seen}.{self.rank}"


@dataclass(frozen=True)
class Ranked:
    """A word at its place."""

    word: str
    place: Place


def read_page(
    session: Session, vocabulary_id: int, after: Place | None, limit: int
) -> list[Ranked]:
    """The words behind a place, most frequent first; of those as frequent, the one seen first.

    The cost depends on `limit` alone, however deep the page lies. Ranks count on from `after`.
    """
    rows = _read_rows(session, vocabulary_id, after, limit)
    ranks = itertools.count(after.rank + 1 if after else 1)
    return [Ranked(word, Place(count, seen, next(ranks))) for word, count, seen in rows]


def _read_rows(
    session: Session, vocabulary_id: int, after: Place | None, limit: int
) -> list[tuple[str, int, int]]:
    """(word, count, first_seen)."""
    rows: list[tuple[str, int, int]] = []
    for part in _list_parts(vocabulary_id, after):
        found = session.execute(part.limit(limit - len(rows)))
        rows += [(word, count, seen) for word, count, seen in found]
        if len(rows) == limit:
            break
    return rows


def _list_parts(vocabulary_id: int, after: Place | None) -> Iterator[Select[str, int, int]]:
    """Two ranges of the index one after the other: no database takes them as one."""
    words = select(TextWord.word, TextWord.count, TextWord.first_seen).order_by(*ORDER)
    words = words.where(TextWord.vocabulary_id == vocabulary_id)
    if after is None:
        yield words
    else:
        yield words.where(TextWord.count == after.count, TextWord.first_seen > after.first_seen)
        yield words.where(TextWord.count < after.count)


def read_all(session: Session, vocabulary_id: int) -> Iterator[tuple[str, int]]:
    """(word, count) of all words in the order of their ranks."""
    after = None
    while rows := _read_rows(session, vocabulary_id, after, PAGE):
        yield from ((word, count) for word, count, _ in rows)
        _, count, seen = rows[-1]
        after = Place(count, seen, 0)


def rank_asked(
    session: Session, vocabulary: TextVocabulary, asked: Sequence[str]
) -> list[Ranked | None]:
    """The rank of each word once it is cut as documents are; None if it is not one known token."""
    tokeniser = read_tokeniser(vocabulary)
    cuts = [cut(tokeniser, word) for word in asked]
    ranked = rank_words(session, vocabulary.id, [tokens[0] for tokens in cuts if len(tokens) == 1])
    return [ranked.get(tokens[0]) if len(tokens) == 1 else None for tokens in cuts]


def rank_words(session: Session, vocabulary_id: int, words: Iterable[str]) -> dict[str, Ranked]:
    """The ranks of given words; those that do not occur are missing.

    The entries of the index are counted from one word to the next, so none is counted twice.
    """
    ranked: dict[str, Ranked] = {}
    before = Place(2**63 - 1, 0, 0)
    for row in _find_words(session, vocabulary_id, sorted(set(words))):
        rank = before.rank + _count_between(session, vocabulary_id, before, row.place)
        before = Place(row.place.count, row.place.first_seen, rank)
        ranked[row.word] = Ranked(row.word, before)
    return ranked


def _find_words(session: Session, vocabulary_id: int, words: Sequence[str]) -> list[Ranked]:
    """In the order of ranks, which are not known yet."""
    found: list[Ranked] = []
    for start in range(0, len(words), AT_ONCE):
        rows = session.execute(
            select(TextWord.word, TextWord.count, TextWord.first_seen).where(
                TextWord.vocabulary_id == vocabulary_id,
                TextWord.word.in_(words[start : start + AT_ONCE]),
            )
        )
        found += [Ranked(word, Place(count, seen, 0)) for word, count, seen in rows]
    return sorted(found, key=lambda word: (-word.place.count, word.place.first_seen))


def _count_between(session: Session, vocabulary_id: int, start: Place, end: Place) -> int:
    """How many words come after `start`, up to and with `end`."""
    values = {
        "vocabulary_id": vocabulary_id,
        "start_count": start.count,
        "start_seen": start.first_seen,
        "end_count": end.count,
        "end_seen": end.first_seen,
    }
    same_count = start.count == end.count
    return int(session.scalar(_COUNT_TIES if same_count else _COUNT_RANGES, values) or 0)
