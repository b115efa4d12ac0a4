"""Vocabularies in SQL: made, found, listed, deleted, and the lock that orders their changes."""

from collections.abc import Iterable, Sequence

from sqlalchemy import delete, func, select, text
from sqlalchemy.orm import Session

from shared.db import db_now
from shared.text_tables import (
    TextDocument,
    TextVersion,
    TextVersionWord,
    TextVocabulary,
    TextWord,
)
from workers.text.fields import Tokeniser
from workers.text.refusals import OtherTokeniser, UnknownVocabulary

AT_ONCE = 1000  # names of one statement: databases limit its parameters
DELETED = "~"  # begins the name of a vocabulary that is being deleted, which nobody can ask for


def lock_vocabularies(session: Session, tenant: str, names: Iterable[str]) -> None:
    """Wait for the turn to change vocabularies, those that do not exist yet too.

    The lock ends with the transaction. All that a transaction changes is locked at once and by
    name, so that two never wait for each other. On SQLite, a transaction that writes is alone.
    PostgreSQL lets it wait for minutes: who waits here has done all of its work already.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SET LOCAL lock_timeout = '2min'"))
        session.execute(text("SET LOCAL statement_timeout = '2min'"))
        for name in sorted(set(names)):
            key = func.hashtextextended(f"{tenant}/{name}", 0)
            session.execute(select(func.pg_advisory_xact_lock(key)))
        session.execute(text("SET LOCAL lock_timeout TO DEFAULT"))
        session.execute(text("SET LOCAL statement_timeout TO DEFAULT"))


def find_vocabulary(session: Session, tenant: str, name: str) -> TextVocabulary:
    """The tenant's vocabulary. Raises UnknownVocabulary, the same for another tenant's."""
    found = _find(session, tenant, name)
    if found is None:
        raise UnknownVocabulary(name)
    return found


def take_turn(session: Session, tenant: str, name: str) -> TextVocabulary:
    """A vocabulary that this transaction alone may change. Raises UnknownVocabulary."""
    lock_vocabularies(session, tenant, [name])
    return find_vocabulary(session, tenant, name)


def _find(session: Session, tenant: str, name: str) -> TextVocabulary | None:
    mine = (TextVocabulary.tenant == tenant, TextVocabulary.name == name)
    return session.scalars(select(TextVocabulary).where(*mine)).one_or_none()


def choose_tokeniser(
    session: Session, tenant: str, name: str, asked: Tokeniser | None
) -> Tokeniser:
    """The one that a vocabulary has, or will have when it is made. Raises OtherTokeniser."""
    found = _find(session, tenant, name)
    if found is None:
        return asked or Tokeniser()
    if asked is not None:
        check_tokeniser(found, asked)
    return read_tokeniser(found)


def read_tokeniser(vocabulary: TextVocabulary) -> Tokeniser:
    return Tokeniser.model_validate(vocabulary.tokeniser)


def check_tokeniser(vocabulary: TextVocabulary, asked: Tokeniser) -> None:
    """Raises OtherTokeniser."""
    own = read_tokeniser(vocabulary)
    if own != asked:
        raise OtherTokeniser(
            f"The vocabulary {vocabulary.name!r} counts tokens of {own.model_dump()}, not of "
            f"{asked.model_dump()}. Leave out `tokeniser`, or choose another vocabulary."
        )


def open_vocabulary(
    session: Session, tenant: str, name: str, tokeniser: Tokeniser
) -> TextVocabulary:
    """A vocabulary that this transaction has locked; a new one if there is none of the name.

    Raises OtherTokeniser.
    """
    found = _find(session, tenant, name)
    if found is not None:
        check_tokeniser(found, tokeniser)
        return found
    made = TextVocabulary(
        tenant=tenant,
        name=name,
        tokeniser=tokeniser.model_dump(),
        documents=0,
        tokens=0,
        words=0,
        last_seen=0,
        last_version=0,
        created_at=session.scalar(select(db_now())),
    )
    session.add(made)
    session.flush()
    return made


def list_vocabularies(session: Session, tenant: str) -> Sequence[TextVocabulary]:
    """In the order of their names, without those that are being deleted."""
    mine = select(TextVocabulary).where(
        TextVocabulary.tenant == tenant, ~TextVocabulary.name.startswith(DELETED)
    )
    return session.scalars(mine.order_by(TextVocabulary.name)).all()


def list_documents(
    session: Session, vocabulary_id: int, after: str | None, limit: int
) -> Sequence[TextDocument]:
    """In the order of their names (by code points), from the one behind `after` on."""
    page = select(TextDocument).where(TextDocument.vocabulary_id == vocabulary_id)
    if after is not None:
        page = page.where(TextDocument.name > after)
    return session.scalars(page.order_by(TextDocument.name).limit(limit)).all()


def hide_vocabulary(session: Session, tenant: str, name: str, job: str) -> TextVocabulary:
    """Take its name from a vocabulary that the job deletes, so that no other job finds it.

    A job that comes again finds the one it took before. Raises UnknownVocabulary.
    """
    lock_vocabularies(session, tenant, [name])
    found = _find(session, tenant, DELETED + job) or find_vocabulary(session, tenant, name)
    found.name = DELETED + job
    session.flush()
    return found


def delete_vocabulary(session: Session, vocabulary: TextVocabulary) -> None:
    """With its words, documents and versions; the caller has locked it."""
    allow_minutes(session)
    for table in (TextVersionWord, TextVersion, TextWord, TextDocument):
        rows = delete(table).where(table.vocabulary_id == vocabulary.id)
        session.execute(rows.execution_options(synchronize_session=False))
    session.delete(vocabulary)
    session.flush()


def allow_minutes(session: Session) -> None:
    """One statement on millions of words takes longer than PostgreSQL may take for others."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SET LOCAL statement_timeout = '10min'"))


def refresh_statistics(session: Session, table: str) -> None:
    """Tell PostgreSQL of many new rows, or it takes the wrong index until it looks by itself."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text(f"ANALYZE (SKIP_LOCKED) {table}"))
