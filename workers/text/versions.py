"""Frozen versions of vocabularies: made, found, read; nothing of one ever changes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, insert, literal, select
from sqlalchemy.orm import Session

from shared.db import db_now
from shared.text_tables import TextVersion, TextVersionWord, TextVocabulary, TextWord
from workers.runtime.run import InvalidInput, TooLarge
from workers.text.fields import Tokeniser
from workers.text.lexicon import UNKNOWN
from workers.text.ranking import ORDER, PAGE
from workers.text.refusals import UnknownVersion
from workers.text.version_contract import MAX_SIZE
from workers.text.vocabulary import (
    AT_ONCE,
    allow_minutes,
    find_vocabulary,
    read_tokeniser,
    refresh_statistics,
)


@dataclass(frozen=True)
class FrozenVersion:
    """Words with the indices 1 to `size`."""

    vocabulary_id: int
    vocabulary: str
    version: int
    size: int
    tokeniser: Tokeniser


def find_version(
    session: Session, tenant: str, vocabulary: str, version: int | None
) -> FrozenVersion:
    """A tenant's version; None for the newest one. Raises UnknownVocabulary, UnknownVersion."""
    row = find_vocabulary(session, tenant, vocabulary)
    number = row.last_version if version is None else version
    frozen = session.get(TextVersion, (row.id, number))
    if frozen is None:
        asked = "no frozen version" if version is None else f"no version {version}"
        raise UnknownVersion(
            f"The vocabulary {vocabulary!r} has {asked}. `text.vocab.list` lists them, "
            "`text.vocab.freeze` makes one."
        )
    return FrozenVersion(row.id, row.name, number, frozen.size, read_tokeniser(row))


def look_up(session: Session, frozen: FrozenVersion, words: Iterable[str]) -> dict[str, int]:
    """Word -> index; words that the version does not know are missing."""
    wanted = sorted(set(words))
    found: dict[str, int] = {}
    for start in range(0, len(wanted), AT_ONCE):
        some = wanted[start : start + AT_ONCE]
        rows = session.execute(
            select(TextVersionWord.word, TextVersionWord.index).where(
                *_belongs_to(frozen), TextVersionWord.word.in_(some)
            )
        )
        found |= {row[0]: row[1] for row in rows}
    return found


def read_indices(session: Session, frozen: FrozenVersion, indices: Iterable[int]) -> dict[int, str]:
    """Index -> word; indices that the version does not have are missing, and so is 0."""
    wanted = sorted({index for index in indices if 0 < index <= frozen.size})
    found: dict[int, str] = {}
    for start in range(0, len(wanted), AT_ONCE):
        some = wanted[start : start + AT_ONCE]
        rows = session.execute(
            select(TextVersionWord.index, TextVersionWord.word).where(
                *_belongs_to(frozen), TextVersionWord.index.in_(some)
            )
        )
        found |= {row[0]: row[1] for row in rows}
    return found


def list_words(session: Session, frozen: FrozenVersion) -> Iterator[tuple[str, int]]:
    """(word, count) in the order of the indices, from 1 on."""
    for start in range(1, frozen.size + 1, PAGE):
        rows = session.execute(
            select(TextVersionWord.word, TextVersionWord.count)
            .where(*_belongs_to(frozen))
            .where(TextVersionWord.index >= start, TextVersionWord.index < start + PAGE)
            .order_by(TextVersionWord.index)
        )
        yield from ((row[0], row[1]) for row in rows)


def _belongs_to(frozen: FrozenVersion) -> tuple[ColumnElement[bool], ...]:
    return (
        TextVersionWord.vocabulary_id == frozen.vocabulary_id,
        TextVersionWord.version == frozen.version,
    )


def list_versions(session: Session, tenant: str) -> dict[int, list[TextVersion]]:
    """Vocabulary -> its versions, the oldest first; a vocabulary without one is missing."""
    mine = (
        select(TextVersion)
        .join(TextVocabulary, TextVocabulary.id == TextVersion.vocabulary_id)
        .where(TextVocabulary.tenant == tenant)
        .order_by(TextVersion.version)
    )
    found: dict[int, list[TextVersion]] = {}
    for version in session.scalars(mine):
        found.setdefault(version.vocabulary_id, []).append(version)
    return found


def freeze_version(
    session: Session, vocabulary: TextVocabulary, size: int | None, min_count: int
) -> TextVersion:
    """Copy the first words in the order of ranks; the caller has locked the vocabulary.

    A token that is written like the unknown word gets no index, for it has 0 already.
    Raises InvalidInput if no word is left, TooLarge if there are more than a version may have.
    """
    allow_minutes(session)
    if size is None:
        _refuse_many(session, vocabulary, min_count)
    number = vocabulary.last_version + 1
    rank = func.row_number().over(order_by=ORDER)
    ranked = (
        select(TextWord.vocabulary_id, literal(number), rank, TextWord.word, TextWord.count)
        .where(TextWord.vocabulary_id == vocabulary.id, TextWord.count >= min_count)
        .where(TextWord.word != UNKNOWN)
        .order_by(*ORDER)
        .limit(size)
    )
    columns = ["vocabulary_id", "version", "index", "word", "count"]
    session.execute(insert(TextVersionWord).from_select(columns, ranked))
    refresh_statistics(session, "text_version_words")
    mine = (TextVersionWord.vocabulary_id == vocabulary.id, TextVersionWord.version == number)
    made, known = session.execute(
        select(func.count(), func.coalesce(func.sum(TextVersionWord.count), 0)).where(*mine)
    ).one()
    if not made:
        raise InvalidInput(
            f"No word of {vocabulary.name!r} occurs {min_count} times. Ask for a lower "
            "`min_count`, or count documents first."
        )
    frozen = TextVersion(
        vocabulary_id=vocabulary.id,
        version=number,
        size=made,
        min_count=min_count,
        coverage=int(known) / vocabulary.tokens,
        created_at=session.scalar(select(db_now())),
    )
    vocabulary.last_version = number
    session.add(frozen)
    session.flush()
    return frozen


def _refuse_many(session: Session, vocabulary: TextVocabulary, min_count: int) -> None:
    words = select(TextWord.word).where(
        TextWord.vocabulary_id == vocabulary.id, TextWord.count >= min_count
    )
    some = words.where(TextWord.word != UNKNOWN).limit(MAX_SIZE + 1).subquery()
    if (session.scalar(select(func.count()).select_from(some)) or 0) > MAX_SIZE:
        raise TooLarge(
            f"More than {MAX_SIZE} words of {vocabulary.name!r} occur {min_count} times; a version "
            "has at most so many. Give a `size`, or a higher `min_count`."
        )
