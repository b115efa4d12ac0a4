"""Deletes what a hidden vocabulary holds, a page in each transaction, so that nobody waits long."""

import itertools
from collections.abc import Iterator, Sequence

from sqlalchemy import delete, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from shared.db import Sessions
from shared.text_tables import TextDocument, TextVersion, TextVersionWord, TextVocabulary, TextWord
from workers.text.counting import cut_pages
from workers.text.vocabulary import AT_ONCE

ROWS = 20_000  # of one transaction: about a quarter of a second of SQLite


def erase_rows(sessions: Sessions, vocabulary: TextVocabulary) -> Iterator[float]:
    """Delete the words of versions, the words and the documents; after each page, the part done.

    Nothing else changes the vocabulary meanwhile. It may be stopped at any page and begun again.
    """
    with sessions.read() as session:
        sizes = select(TextVersion.version, TextVersion.size)
        versions = session.execute(sizes.where(TextVersion.vocabulary_id == vocabulary.id)).all()
    rows = sum(size for _, size in versions) + vocabulary.words + vocabulary.documents
    done = 0
    for number in itertools.chain(
        *(_erase_version(sessions, vocabulary.id, *version) for version in versions),
        _erase_in_order(sessions, vocabulary.id, TextWord.word),
        _erase_in_order(sessions, vocabulary.id, TextDocument.name),
    ):
        done += number
        yield done / rows


def _erase_version(
    sessions: Sessions, vocabulary_id: int, version: int, size: int
) -> Iterator[int]:
    for start in range(1, size + 1, ROWS):
        with sessions.begin() as session:
            _erase_indices(session, vocabulary_id, version, start)
        yield min(ROWS, size + 1 - start)


def _erase_indices(session: Session, vocabulary_id: int, version: int, start: int) -> None:
    session.execute(
        delete(TextVersionWord).where(
            TextVersionWord.vocabulary_id == vocabulary_id,
            TextVersionWord.version == version,
            TextVersionWord.index.between(start, start + ROWS - 1),
        )
    )


def _erase_in_order(
    sessions: Sessions, vocabulary_id: int, key: InstrumentedAttribute[str]
) -> Iterator[int]:
    """From one key to the next: what was deleted before is never passed again."""
    last = ""
    while True:
        with sessions.begin() as session:
            keys = _read_page(session, vocabulary_id, key, last)
            if not keys:
                return
            session.execute(
                delete(key.class_).where(
                    key.class_.vocabulary_id == vocabulary_id, key > last, key <= keys[-1]
                )
            )
        last = keys[-1]
        yield len(keys)


def _read_page(
    session: Session, vocabulary_id: int, key: InstrumentedAttribute[str], last: str
) -> Sequence[str]:
    """The next keys, in order; of documents, whose counts may be large, those of one page."""
    table = key.class_
    page = select(key).where(table.vocabulary_id == vocabulary_id, key > last).order_by(key)
    if table is TextWord:
        return session.scalars(page.limit(ROWS)).all()
    sized = session.execute(page.add_columns(TextDocument.words).limit(AT_ONCE))
    return next(cut_pages((row[0], row[1]) for row in sized), [])
