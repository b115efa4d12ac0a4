"""Deletes faces wherever there are copies, and knows when none is left."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, delete, exists, insert, select, text, update
from sqlalchemy.orm import Session

from shared.blobs import Blobs
from shared.db import BUSY_TIMEOUT, Sessions, db_now
from shared.face_tables import (
    Face,
    FaceCollection,
    FaceConsent,
    FaceDeletion,
    FacePurge,
    FaceReplica,
    FaceSubject,
)
from shared.identifiers import new_id
from shared.sealing import TenantKey
from shared.tables import StoredBlob
from workers.faces.audit import Actor, append_line
from workers.faces.gallery import Collection, take_turn
from workers.faces.refusals import UnknownFace

VACUUMING = (
    7_201_937  # any number, the same for every process; shared/migrations has the one before
)
AT_ONCE = 1000  # rows of one statement


@dataclass(frozen=True)
class Deleted:
    faces: int
    seq: int
    receipt: str


def delete_faces(
    session: Session,
    key: TenantKey,
    actor: Actor,
    collection: Collection,
    where: ColumnElement[bool],
    action: str = "delete",
) -> Deleted:
    """Delete the faces of a collection that match, and subjects that have none left.

    Raises UnknownFace if there are none, UnknownCollection if the collection is gone.
    """
    _allow_minutes(session)
    # The row lock comes first: no face can be enrolled between the look and the deletion.
    turn = take_turn(session, collection, 0)
    gone = session.execute(
        delete(Face)
        .where(Face.collection_id == collection.id, where)
        .returning(Face.number, Face.subject_number, Face.consent_id, Face.blob_id)
        .execution_options(synchronize_session=False)
    ).all()
    if not gone:
        raise UnknownFace(f"Collection {collection.name!r} has no such face; nothing was deleted.")
    session.execute(
        update(FaceCollection)
        .where(FaceCollection.id == collection.id)
        .values(faces=FaceCollection.faces - len(gone))
    )
    tombstones = [
        {"collection_id": collection.id, "seq": turn.seq, "number": row.number} for row in gone
    ]
    session.execute(insert(FaceDeletion), tombstones)
    _delete_orphans(
        session,
        collection.id,
        sorted({row.consent_id for row in gone}),
        sorted({row.subject_number for row in gone}),
    )
    pictures = {row.blob_id for row in gone if row.blob_id}
    blobs = _take_pictures(session, actor.tenant, pictures)
    receipt = _write_receipt(session, actor, collection, turn.seq, len(gone), blobs)
    detail = {"faces": len(gone), "seq": turn.seq, "receipt": receipt}
    append_line(session, key, actor, action, collection.name, detail)
    return Deleted(len(gone), turn.seq, receipt)


def delete_collection(
    session: Session, key: TenantKey, actor: Actor, collection: Collection
) -> Deleted:
    """Delete a collection with all that belongs to it. Raises UnknownCollection if it is gone."""
    _allow_minutes(session)
    turn = take_turn(session, collection, 0)
    own = Face.collection_id == collection.id
    pictures = session.scalars(select(Face.blob_id).where(own).distinct()).all()
    gone = session.execute(delete(Face).where(own))
    for table in (FaceConsent, FaceSubject, FaceDeletion):
        session.execute(delete(table).where(table.collection_id == collection.id))
    session.execute(delete(FaceCollection).where(FaceCollection.id == collection.id))
    blobs = _take_pictures(session, actor.tenant, filter(None, pictures))
    faces = int(getattr(gone, "rowcount", 0))
    receipt = _write_receipt(session, actor, collection, turn.seq, faces, blobs, whole=True)
    detail = {"faces": faces, "receipt": receipt}
    append_line(session, key, actor, "delete collection", collection.name, detail)
    return Deleted(faces, turn.seq, receipt)


def find_expired(session: Session) -> list[str]:
    """The collections that hold faces whose time is over."""
    rows = session.scalars(select(Face.collection_id).where(Face.expires_at <= db_now()).distinct())
    return list(rows)


def find_receipt(session: Session, tenant: str, receipt: str) -> FacePurge | None:
    return session.scalar(
        select(FacePurge).where(FacePurge.id == receipt, FacePurge.tenant == tenant)
    )


def list_holders(session: Session, purge: FacePurge) -> list[str]:
    """What still holds a copy of what was deleted; empty once it is erased everywhere."""
    held = FaceReplica.collection_id == purge.collection_id
    if not purge.whole:
        held &= FaceReplica.clean_seq < purge.seq
    replicas = session.scalars(select(FaceReplica.replica).where(held)).all()
    return [f"snapshots {name}" for name in replicas] + [f"picture {name}" for name in purge.blobs]


def erase_pictures(sessions: Sessions, blobs: Blobs) -> None:
    """Delete the bytes of pictures that went with their faces. Raises StoreError, OSError."""
    with sessions.read() as session:
        pending = session.scalars(select(FacePurge).where(FacePurge.purged_at.is_(None))).all()
    for purge in pending:
        if purge.blobs:
            blobs.erase(purge.blobs)
            with sessions.begin() as session:
                session.execute(update(FacePurge).where(FacePurge.id == purge.id).values(blobs=[]))


def settle_receipts(sessions: Sessions) -> int:
    """Mark the receipts of all that is erased by now; how many."""
    with sessions.read() as session:
        pending = session.scalars(select(FacePurge).where(FacePurge.purged_at.is_(None))).all()
        erased = [purge.id for purge in pending if not list_holders(session, purge)]
    if not erased or not scrub_database(sessions):
        return 0
    with sessions.begin() as session:
        session.execute(
            update(FacePurge)
            .where(FacePurge.id.in_(erased), FacePurge.purged_at.is_(None))
            .values(purged_at=db_now())
        )
        _forget_tombstones(session)
    return len(erased)


def scrub_database(sessions: Sessions) -> bool:
    """Remove what a database keeps of deleted rows; False if it has to be tried again.

    SQLite overwrites deleted rows itself (secure_delete), but its write-ahead log has to be
    emptied. PostgreSQL frees the space by VACUUM and re-uses it; until then, and in its own
    write-ahead log, the sealed bytes remain.
    """
    with sessions.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if connection.dialect.name == "sqlite":
            # By the driver: SQLAlchemy would begin a transaction, in which no log can be emptied.
            raw: Any = connection.connection.driver_connection
            # It holds up writers while it waits for readers: rather soon again than long.
            raw.execute("PRAGMA busy_timeout=200")
            try:
                busy, _, _ = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                raw.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT}")
            return bool(busy == 0)
        if not connection.scalar(text(f"SELECT pg_try_advisory_lock({VACUUMING})")):
            return False  # another process is at it
        try:
            connection.exec_driver_sql("SET statement_timeout = '10min'")
            connection.exec_driver_sql("VACUUM faces")
        finally:
            connection.exec_driver_sql("RESET statement_timeout")
            connection.execute(text(f"SELECT pg_advisory_unlock({VACUUMING})"))
    return True


def _allow_minutes(session: Session) -> None:
    """One statement on millions of faces takes longer than PostgreSQL may take for others."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SET LOCAL statement_timeout = '10min'"))


def _delete_orphans(
    session: Session, collection_id: str, consents: Sequence[str], subjects: Sequence[int]
) -> None:
    """Of these, delete the consents that no face names any more, and subjects without a face."""
    for start in range(0, len(consents), AT_ONCE):
        session.execute(
            delete(FaceConsent)
            .where(
                FaceConsent.id.in_(consents[start : start + AT_ONCE]),
                ~exists().where(Face.consent_id == FaceConsent.id),
            )
            .execution_options(synchronize_session=False)
        )
    for start in range(0, len(subjects), AT_ONCE):
        session.execute(
            delete(FaceSubject)
            .where(
                FaceSubject.collection_id == collection_id,
                FaceSubject.number.in_(subjects[start : start + AT_ONCE]),
                ~exists().where(
                    Face.collection_id == FaceSubject.collection_id,
                    Face.subject_number == FaceSubject.number,
                ),
            )
            .execution_options(synchronize_session=False)
        )


def _take_pictures(session: Session, tenant: str, blobs: Iterable[str]) -> list[str]:
    """Make the pictures unknown that no other face of the tenant was found in.

    Their bytes lie under the names that are returned, and go once this is committed.
    """
    names = sorted(blobs)
    objects: list[str] = []
    for start in range(0, len(names), AT_ONCE):
        some = names[start : start + AT_ONCE]
        used = (
            select(Face.blob_id)
            .join(FaceCollection, FaceCollection.id == Face.collection_id)
            .where(FaceCollection.tenant == tenant, Face.blob_id.in_(some))
        )
        objects += session.scalars(
            delete(StoredBlob)
            .where(StoredBlob.tenant == tenant, StoredBlob.id.in_(some), StoredBlob.id.not_in(used))
            .returning(StoredBlob.object_name)
            .execution_options(synchronize_session=False)
        ).all()
    return objects


def _write_receipt(
    session: Session,
    actor: Actor,
    collection: Collection,
    seq: int,
    faces: int,
    blobs: Sequence[str],
    whole: bool = False,
) -> str:
    receipt = new_id()
    session.add(
        FacePurge(
            id=receipt,
            tenant=actor.tenant,
            collection_id=collection.id,
            seq=seq,
            faces=faces,
            whole=whole,
            blobs=list(blobs),
            requested_at=session.scalar(select(db_now())),
        )
    )
    session.flush()
    return receipt


def _forget_tombstones(session: Session) -> None:
    """Deletions that every snapshot has taken in serve no purpose; new processes read snapshots.

    A process that follows without a snapshot reads the faces that are left, so it needs none.
    """
    needed = exists().where(
        FaceReplica.collection_id == FaceDeletion.collection_id,
        FaceReplica.clean_seq < FaceDeletion.seq,
    )
    recent = exists().where(
        FacePurge.collection_id == FaceDeletion.collection_id,
        FacePurge.seq == FaceDeletion.seq,
        FacePurge.requested_at > db_now() - 3600.0,
    )
    session.execute(
        delete(FaceDeletion).where(~needed, ~recent).execution_options(synchronize_session=False)
    )
