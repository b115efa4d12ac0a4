"""What changed from one frozen version of a vocabulary to another."""

from typing import Any

from sqlalchemy import Select, exists, func, select
from sqlalchemy.orm import Session, aliased

from shared.text_tables import TextVersionWord
from workers.text.version_contract import DiffResult, MovedWord
from workers.text.versions import FrozenVersion
from workers.text.vocabulary import allow_minutes

OLD, NEW = aliased(TextVersionWord), aliased(TextVersionWord)


def compare_versions(
    session: Session, old: FrozenVersion, new: FrozenVersion, limit: int
) -> DiffResult:
    """Counts of all changes, and the first `limit` of each kind.

    Added and dropped words come in the order of their indices, moved ones furthest first.
    """
    allow_minutes(session)
    moved, shared = _count_shared(session, old, new)
    return DiffResult(
        vocabulary=new.vocabulary,
        old=old.version,
        new=new.version,
        added=new.size - shared,
        dropped=old.size - shared,
        moved=moved,
        same=shared - moved,
        added_words=_list_missing(session, new, old, limit),
        dropped_words=_list_missing(session, old, new, limit),
        moved_words=_list_moved(session, old, new, limit),
    )


def _count_shared(session: Session, old: FrozenVersion, new: FrozenVersion) -> tuple[int, int]:
    """How many of the words of both moved, and how many there are."""
    moved = func.count().filter(OLD.index != NEW.index)
    row = session.execute(_select_shared(old, new, moved, func.count())).one()
    return row[0], row[1]


def _list_missing(
    session: Session, here: FrozenVersion, there: FrozenVersion, limit: int
) -> list[str]:
    """Words of `here` that `there` does not have."""
    same_word = exists().where(
        NEW.vocabulary_id == there.vocabulary_id,
        NEW.version == there.version,
        NEW.word == OLD.word,
    )
    missing = (
        select(OLD.word)
        .where(OLD.vocabulary_id == here.vocabulary_id, OLD.version == here.version, ~same_word)
        .order_by(OLD.index)
        .limit(limit)
    )
    return list(session.scalars(missing))


def _list_moved(
    session: Session, old: FrozenVersion, new: FrozenVersion, limit: int
) -> list[MovedWord]:
    moved = (
        _select_shared(old, new, OLD.word, OLD.index, NEW.index)
        .where(OLD.index != NEW.index)
        .order_by(func.abs(OLD.index - NEW.index).desc(), NEW.index)
        .limit(limit)
    )
    return [MovedWord(word=row[0], old=row[1], new=row[2]) for row in session.execute(moved)]


def _select_shared(old: FrozenVersion, new: FrozenVersion, *columns: Any) -> Select[Any]:
    """The words that are in both."""
    return (
        select(*columns)
        .select_from(OLD)
        .join(NEW, (NEW.vocabulary_id == OLD.vocabulary_id) & (NEW.word == OLD.word))
        .where(OLD.vocabulary_id == old.vocabulary_id, OLD.version == old.version)
        .where(NEW.version == new.version)
    )
