"""Counts documents into a vocabulary and out of it again, exactly, in one transaction."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import delete, insert, select, text
from sqlalchemy.orm import Session

from shared.db import db_now
from shared.text_tables import TextDocument, TextVocabulary
from workers.runtime.run import TooLarge
from workers.text.counts import unpack
from workers.text.refusals import ChangedDocument
from workers.text.vocabulary import AT_ONCE, refresh_statistics

T = TypeVar("T")

WORDS_AT_ONCE = 10_000  # of one statement: about a tenth of a second of PostgreSQL
ENTRIES_AT_ONCE = 500_000  # words of documents, unpacked in about a second
MAX_ENTRIES = 2_000_000  # of a transaction: SQL takes 5 to 11 microseconds for each
MANY = 50_000  # words that change at once: looking at the table again takes less

# Rows of [word, count, first_seen] come as one parameter: nothing is faster on both databases.
_ROWS = {
    "sqlite": "SELECT value->>0 AS word, value->>1 AS count, value->>2 AS first_seen "
    "FROM json_each(:rows) WHERE true",
    "postgresql": "SELECT value->>0 AS word, CAST(value->>1 AS bigint) AS count, "
    "CAST(value->>2 AS bigint) AS first_seen FROM json_array_elements(CAST(:rows AS json))",
}
_ADD = {
    name: text(
        "INSERT INTO text_words (vocabulary_id, word, count, first_seen) "
        f"SELECT :vocabulary_id, word, count, first_seen FROM ({rows}) AS new WHERE true "
        "ON CONFLICT (vocabulary_id, word) "
        "DO UPDATE SET count = text_words.count + excluded.count "
        "RETURNING CASE WHEN first_seen > :last_seen THEN 1 ELSE 0 END"
    )
    for name, rows in _ROWS.items()
}
_DROP = text("DELETE FROM text_words WHERE vocabulary_id = :vocabulary_id AND count <= 0")


@dataclass(frozen=True)
class CountedDocument:
    """A document and its own counts, ready to be stored."""

    name: str
    sha256: str  # of its text
    tokens: int
    words: int  # distinct
    counts: bytes  # packed
    too_long: int = 0  # words that are not counted


@dataclass(frozen=True)
class Known:
    """A document that is stored."""

    sha256: str
    words: int  # distinct


@dataclass(frozen=True)
class Counted:
    """What was new to the vocabulary, and what was not."""

    documents: int
    known: int
    replaced: int
    tokens: int
    too_long: int = 0  # words of the documents that are new


def count_documents(
    session: Session,
    vocabulary: TextVocabulary,
    documents: Sequence[CountedDocument],
    total: Mapping[str, int],
    replace: bool,
) -> Counted:
    """Count those that are not known, `total` being the sum of all of them.

    The caller has locked the vocabulary. Raises TooLarge, and ChangedDocument unless
    `replace`.
    """
    known = _find_known(session, vocabulary.id, [document.name for document in documents])
    sums = {name: found.sha256 for name, found in known.items()}
    changed = {
        d.name: known[d.name].words for d in documents if sums.get(d.name, d.sha256) != d.sha256
    }
    if changed and not replace:
        raise ChangedDocument(
            f"The document {next(iter(changed))!r} was counted with other content, and "
            f"{len(changed) - 1} more. Send `replace`, or other ids."
        )
    new = [document for document in documents if sums.get(document.name) != document.sha256]
    left_out = [document for document in documents if sums.get(document.name) == document.sha256]
    unpacked = sum(changed.values()) + min(_count_entries(new), _count_entries(left_out))
    check_entries(unpacked, "Send fewer documents at once.")
    _add_new(session, vocabulary, new, left_out, total)
    _take_documents(session, vocabulary, changed)
    _store_documents(session, vocabulary.id, new)
    tokens = sum(document.tokens for document in new)
    vocabulary.documents += len(new)
    vocabulary.tokens += tokens
    session.flush()
    return Counted(
        documents=len(new) - len(changed),
        known=len(left_out),
        replaced=len(changed),
        tokens=tokens,
        too_long=sum(document.too_long for document in new),
    )


def remove_documents(
    session: Session, vocabulary: TextVocabulary, names: Iterable[str]
) -> list[str]:
    """Count documents down and forget them; which of `names` are known no more or never were.

    The caller has locked the vocabulary. Raises TooLarge.
    """
    wanted = list(dict.fromkeys(names))
    known = _find_known(session, vocabulary.id, wanted)
    words = {name: found.words for name, found in known.items()}
    check_entries(sum(words.values()), "Remove fewer documents at once.")
    _take_documents(session, vocabulary, words)
    session.flush()
    return [name for name in wanted if name not in known]


def check_entries(entries: int, advice: str) -> None:
    """Raises TooLarge for more words of documents than one transaction may unpack."""
    if entries > MAX_ENTRIES:
        raise TooLarge(
            f"The stored counts of {entries} words of documents would be read again; a job may "
            f"read {MAX_ENTRIES}. {advice}"
        )


def cut_pages(sized: Iterable[tuple[T, int]]) -> Iterator[list[T]]:
    """Lists of documents, given with their numbers of words, to be unpacked at once."""
    page: list[T] = []
    entries = 0
    for item, words in sized:
        if page and (len(page) == AT_ONCE or entries + words > ENTRIES_AT_ONCE):
            yield page
            page, entries = [], 0
        page.append(item)
        entries += words
    if page:
        yield page


def sum_pages(pages: Iterable[Iterable[bytes]]) -> Iterator[Counter[str]]:
    """Sums of packed counts, in the order of first appearance; a new one where one gets large.

    So memory is bounded, a transaction does not idle, and what is in all documents of a page or
    of several is written once.
    """
    total: Counter[str] = Counter()
    for page in pages:
        for counts in page:
            total.update(unpack(counts))
        if len(total) >= ENTRIES_AT_ONCE:
            yield total
            total = Counter()
    if total:
        yield total


def negate(counts: Mapping[str, int]) -> dict[str, int]:
    return {word: -count for word, count in counts.items()}


def _add_new(
    session: Session,
    vocabulary: TextVocabulary,
    new: Sequence[CountedDocument],
    left_out: Sequence[CountedDocument],
    total: Mapping[str, int],
) -> None:
    """Count up the new ones of all: by themselves, or as all less the others, which are counted
    and so lose nothing by it. What has fewer words is unpacked."""
    if _count_entries(new) <= _count_entries(left_out):
        for counts in sum_pages([document.counts] for document in new):
            change_words(session, vocabulary, counts)
        return
    change_words(session, vocabulary, total)
    for counts in sum_pages([document.counts] for document in left_out):
        change_words(session, vocabulary, negate(counts))


def _count_entries(documents: Iterable[CountedDocument]) -> int:
    return sum(document.words for document in documents)


def _take_documents(session: Session, vocabulary: TextVocabulary, words: Mapping[str, int]) -> None:
    """Forget documents, given with their numbers of words, and count their words down."""
    for counts in sum_pages(_pop_pages(session, vocabulary, words)):
        change_words(session, vocabulary, negate(counts))


def _pop_pages(
    session: Session, vocabulary: TextVocabulary, words: Mapping[str, int]
) -> Iterator[list[bytes]]:
    for names in cut_pages(words.items()):
        rows = session.execute(
            delete(TextDocument)
            .where(TextDocument.vocabulary_id == vocabulary.id, TextDocument.name.in_(names))
            .returning(TextDocument.tokens, TextDocument.counts)
            .execution_options(synchronize_session=False)
        ).all()
        vocabulary.documents -= len(rows)
        vocabulary.tokens -= sum(row.tokens for row in rows)
        yield [row.counts for row in rows]


def change_words(session: Session, vocabulary: TextVocabulary, change: Mapping[str, int]) -> None:
    """Count words up, or down where the number is negative; a word that nothing has goes.

    Words that are new are seen later than all before, in the order of `change`.
    """
    last = vocabulary.last_seen
    places = enumerate(change.items(), last + 1)
    rows = sorted((word, number, place) for place, (word, number) in places if number)
    statement = _ADD[session.get_bind().dialect.name]
    for values in _write_rows(vocabulary.id, rows):
        vocabulary.words += sum(session.scalars(statement, {**values, "last_seen": last}))
    vocabulary.last_seen += len(change)
    if any(number < 0 for number in change.values()):
        dropped = session.connection().execute(_DROP, {"vocabulary_id": vocabulary.id})
        vocabulary.words -= dropped.rowcount
    if len(rows) >= MANY:
        refresh_statistics(session, "text_words")


def _write_rows(
    vocabulary_id: int, rows: Sequence[tuple[str, int, int]]
) -> Iterator[dict[str, object]]:
    """The parameters of one statement after the other, in the order of the words."""
    for start in range(0, len(rows), WORDS_AT_ONCE):
        some = json.dumps(rows[start : start + WORDS_AT_ONCE], ensure_ascii=False)
        yield {"vocabulary_id": vocabulary_id, "rows": some}


def _find_known(session: Session, vocabulary_id: int, names: Sequence[str]) -> dict[str, Known]:
    """Those of the documents that are counted."""
    found: dict[str, Known] = {}
    for some in _cut(names):
        rows = session.execute(
            select(TextDocument.name, TextDocument.sha256, TextDocument.words).where(
                TextDocument.vocabulary_id == vocabulary_id, TextDocument.name.in_(some)
            )
        )
        found |= {row.name: Known(row.sha256, row.words) for row in rows}
    return found


def _store_documents(
    session: Session, vocabulary_id: int, documents: Sequence[CountedDocument]
) -> None:
    now = session.scalar(select(db_now()))
    columns = ("name", "sha256", "tokens", "words", "counts")
    for some in _cut(documents):
        rows = [
            {"vocabulary_id": vocabulary_id, "counted_at": now}
            | {name: getattr(document, name) for name in columns}
            for document in some
        ]
        session.execute(insert(TextDocument), rows)


def _cut(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[start : start + AT_ONCE] for start in range(0, len(items), AT_ONCE))
