"""Counts the documents of one vocabulary into another, from the counts that are stored."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Select, exists, func, insert, literal, select, text
from sqlalchemy.orm import Session, aliased

from shared.db import db_now
from shared.text_tables import TextDocument, TextVocabulary, TextWord
from workers.runtime.run import TooLarge
from workers.text.counting import (
    Counted,
    change_words,
    check_entries,
    cut_pages,
    negate,
    sum_pages,
)
from workers.text.refusals import ChangedDocument
from workers.text.vocabulary import AT_ONCE, allow_minutes, refresh_statistics

MAX_WORDS = 1_000_000  # distinct ones of each source, added up: SQL takes about 10 seconds

THEIRS, OURS = aliased(TextDocument), aliased(TextDocument)
_ENTRIES = func.sum(THEIRS.words)
_ADD_WORDS = text(
    "INSERT INTO text_words (vocabulary_id, word, count, first_seen) "
    "SELECT :target, word, count, first_seen + :last_seen FROM text_words "
    "WHERE vocabulary_id = :source ON CONFLICT (vocabulary_id, word) "
    "DO UPDATE SET count = text_words.count + excluded.count"
)


def merge_vocabularies(
    session: Session, target: TextVocabulary, sources: Sequence[TextVocabulary]
) -> list[Counted]:
    """Count the documents of `sources` that `target` does not have; all are locked.

    Raises TooLarge, and ChangedDocument if a document of the same name has other content.
    """
    words = sum(source.words for source in sources)
    if words > MAX_WORDS:
        raise TooLarge(
            f"The sources have {words} distinct words, added up; a job may have {MAX_WORDS}. "
            "Merge fewer at once, or count the documents themselves."
        )
    counted, entries = [], 0
    for source in sources:
        entries += int(session.scalar(_select_both(target, source, _ENTRIES)) or 0)
        check_entries(entries, "Remove documents that are in both from a source first.")
        counted.append(_merge(session, target, source))
    return counted


def _merge(session: Session, target: TextVocabulary, source: TextVocabulary) -> Counted:
    """Count the documents of one source.

    All words are added by the database itself; then what was counted twice is taken off, so only
    documents that are in both are read. Words that are new are seen in the order of `source`.
    """
    allow_minutes(session)
    _refuse_changed(session, target, source)
    target.words += _count_new_words(session, target, source)
    values = {"target": target.id, "source": source.id, "last_seen": target.last_seen}
    session.execute(_ADD_WORDS, values)
    refresh_statistics(session, "text_words")
    target.last_seen += source.last_seen
    known, known_tokens = _count_known(session, target, source)
    for counts in sum_pages(_read_known(session, target, source)):
        change_words(session, target, negate(counts))
    counted = Counted(source.documents - known, known, 0, source.tokens - known_tokens)
    _copy_documents(session, target, source)
    target.documents += counted.documents
    target.tokens += counted.tokens
    session.flush()
    return counted


def _select_both(target: TextVocabulary, source: TextVocabulary, *columns: Any) -> Select[Any]:
    """Documents of one name in both, by name."""
    return (
        select(*columns)
        .select_from(THEIRS)
        .join(OURS, OURS.name == THEIRS.name)
        .where(THEIRS.vocabulary_id == source.id, OURS.vocabulary_id == target.id)
    )


def _refuse_changed(session: Session, target: TextVocabulary, source: TextVocabulary) -> None:
    both = _select_both(target, source, THEIRS.name)
    name = session.scalar(both.where(THEIRS.sha256 != OURS.sha256).limit(1))
    if name is not None:
        raise ChangedDocument(
            f"The document {name!r} of {source.name!r} was counted in {target.name!r} with other "
            "content. Remove it from one of the two."
        )


def _count_new_words(session: Session, target: TextVocabulary, source: TextVocabulary) -> int:
    ours = aliased(TextWord)
    known = exists().where(ours.vocabulary_id == target.id, ours.word == TextWord.word)
    theirs = select(func.count()).where(TextWord.vocabulary_id == source.id, ~known)
    return session.scalar(theirs) or 0


def _count_known(
    session: Session, target: TextVocabulary, source: TextVocabulary
) -> tuple[int, int]:
    """(documents that are in both, their tokens)."""
    both = _select_both(target, source, func.count(), func.sum(THEIRS.tokens))
    documents, tokens = session.execute(both).one()
    return documents, int(tokens or 0)


def _read_known(
    session: Session, target: TextVocabulary, source: TextVocabulary
) -> Iterator[Sequence[bytes]]:
    """Pages of the packed counts of the documents that are in both."""
    both = _select_both(target, source, THEIRS.name, THEIRS.words).order_by(THEIRS.name)
    counts = select(TextDocument.counts).where(TextDocument.vocabulary_id == source.id)
    sizes = session.execute(both.limit(AT_ONCE)).all()
    while sizes:
        for names in cut_pages((row.name, row.words) for row in sizes):
            yield session.scalars(counts.where(TextDocument.name.in_(names))).all()
        rest = both.where(THEIRS.name > sizes[-1].name)
        sizes = session.execute(rest.limit(AT_ONCE)).all()


def _copy_documents(session: Session, target: TextVocabulary, source: TextVocabulary) -> None:
    copied = ("name", "sha256", "tokens", "words", "counts")
    known = exists().where(OURS.vocabulary_id == target.id, OURS.name == TextDocument.name)
    columns = [getattr(TextDocument, name) for name in copied]
    new = select(literal(target.id), *columns, db_now()).where(
        TextDocument.vocabulary_id == source.id, ~known
    )
    session.execute(insert(TextDocument).from_select(["vocabulary_id", *copied, "counted_at"], new))
