"""Collections in SQL: made, found, listed, and the counter that orders their changes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Table, bindparam, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from shared.db import db_now, insert_into
from shared.face_tables import Face, FaceCollection, FaceConsent, FaceSearches, FaceSubject
from shared.identifiers import new_id
from workers.faces.refusals import CollectionExists, QuotaExceeded, UnknownCollection

AT_ONCE = 1000  # numbers of one statement: databases limit its parameters
DAY = 86_400.0  # seconds


@dataclass(frozen=True)
class Collection:
    """A collection as one transaction saw it."""

    id: str
    tenant: str
    name: str
    description: str
    model: str
    dimensions: int
    backend: str
    retention: float | None
    target_fpir: float
    calibration: dict[str, Any] | None
    seq: int
    faces: int


@dataclass(frozen=True)
class Turn:
    """A change's place in the order of its collection."""

    seq: int
    first_number: int  # the first of the numbers reserved for it


# Built once: making a statement costs more than running it, and every search is charged.
SEARCHES = cast(Table, FaceSearches.__table__)
CHARGE = {
    name: make(SEARCHES)
    .values(tenant=bindparam("tenant"), day=bindparam("day"), probes=bindparam("probes"))
    .on_conflict_do_update(
        index_elements=["tenant", "day"],
        set_={"probes": SEARCHES.c.probes + bindparam("probes")},
    )
    .returning(SEARCHES.c.probes)
    for name, make in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
}
NOW = select(db_now())
IS_OF_SUBJECT = (FaceSubject.collection_id == Face.collection_id) & (
    FaceSubject.number == Face.subject_number
)
COLUMNS = [getattr(FaceCollection, name) for name in Collection.__dataclass_fields__]


def create_collection(session: Session, collection: Collection) -> None:
    """Raises CollectionExists."""
    row = insert_into(session, FaceCollection).values(
        **collection.__dict__, last_number=0, created_at=db_now()
    )
    made = session.execute(row.on_conflict_do_nothing().returning(FaceCollection.id))
    if made.first() is None:
        raise CollectionExists(
            f"There is a collection {collection.name!r} already. Choose another name or delete it."
        )


def plan_collection(tenant: str, name: str, **values: Any) -> Collection:
    """An empty collection that is not stored yet."""
    empty = {"description": "", "backend": "local", "retention": None, "target_fpir": 0.01}
    counters = {"calibration": None, "seq": 0, "faces": 0}
    return Collection(id=new_id(), tenant=tenant, name=name, **{**empty, **counters, **values})


def find_collection(session: Session, tenant: str, name: str) -> Collection:
    """The tenant's collection. Raises UnknownCollection, the same for another tenant's."""
    row = session.execute(
        select(*COLUMNS).where(FaceCollection.tenant == tenant, FaceCollection.name == name)
    ).one_or_none()
    if row is None:
        raise UnknownCollection(name)
    return Collection(*row)


def read_collection(session: Session, collection_id: str) -> Collection | None:
    """None once it is deleted."""
    row = session.execute(select(*COLUMNS).where(FaceCollection.id == collection_id)).one_or_none()
    return Collection(*row) if row else None


def list_collections(session: Session, tenant: str) -> list[Collection]:
    rows = session.execute(
        select(*COLUMNS).where(FaceCollection.tenant == tenant).order_by(FaceCollection.name)
    )
    return [Collection(*row) for row in rows]


def take_turn(session: Session, collection: Collection, faces: int, numbers: int = 0) -> Turn:
    """Count a change that adds `faces` (or takes away) and reserves `numbers`.

    The row stays locked to the end of the transaction, so changes commit in the order of `seq`.
    Raises UnknownCollection if the collection was deleted meanwhile.
    """
    row = session.execute(
        update(FaceCollection)
        .where(FaceCollection.id == collection.id)
        .values(
            seq=FaceCollection.seq + 1,
            faces=FaceCollection.faces + faces,
            last_number=FaceCollection.last_number + numbers,
        )
        .returning(FaceCollection.seq, FaceCollection.last_number)
    ).one_or_none()
    if row is None:
        raise UnknownCollection(collection.name)
    return Turn(row.seq, row.last_number - numbers + 1)


def change_collection(session: Session, collection: Collection, values: dict[str, Any]) -> None:
    """Raises UnknownCollection if it was deleted meanwhile."""
    changed = session.execute(
        update(FaceCollection)
        .where(FaceCollection.id == collection.id)
        .values(**values)
        .returning(FaceCollection.id)
    )
    if changed.first() is None:
        raise UnknownCollection(collection.name)


def count_subjects(session: Session, collection_id: str) -> int:
    counted = select(func.count()).select_from(FaceSubject)
    return session.scalar(counted.where(FaceSubject.collection_id == collection_id)) or 0


def count_expiring(session: Session, collection_id: str, within: float) -> int:
    """Faces that will be deleted in so many seconds."""
    counted = select(func.count()).select_from(Face)
    return (
        session.scalar(
            counted.where(Face.collection_id == collection_id, Face.expires_at < db_now() + within)
        )
        or 0
    )


def name_faces(
    session: Session, collection_id: str, numbers: Iterable[int]
) -> dict[int, tuple[str, int]]:
    """Face -> (its subject's name and number), for those that still exist and have not expired."""
    wanted = sorted(numbers)
    named: dict[int, tuple[str, int]] = {}
    for start in range(0, len(wanted), AT_ONCE):
        rows = session.execute(
            select(Face.number, FaceSubject.name, FaceSubject.number)
            .join(FaceSubject, IS_OF_SUBJECT)
            .where(
                Face.collection_id == collection_id,
                Face.number.in_(wanted[start : start + AT_ONCE]),
                (Face.expires_at.is_(None)) | (Face.expires_at > db_now()),
            )
        )
        named |= {row[0]: (row[1], row[2]) for row in rows}
    return named


def find_pictures(
    session: Session, collection_id: str, blobs: Sequence[str]
) -> set[tuple[str, str]]:
    """Of these pictures, (subject, picture) of those that faces were enrolled from."""
    rows = session.execute(
        select(FaceSubject.name, Face.blob_id)
        .join(Face, IS_OF_SUBJECT)
        .where(Face.collection_id == collection_id, Face.blob_id.in_(blobs))
    )
    return {(str(row[0]), str(row[1])) for row in rows}


def list_faces(
    session: Session, collection_id: str, subject: str | None, after: int, limit: int
) -> Sequence[Any]:
    """Rows of (number, subject, quality, purpose, created_at, expires_at) by number."""
    query = (
        select(
            Face.number,
            FaceSubject.name,
            Face.quality,
            FaceConsent.purpose,
            Face.created_at,
            Face.expires_at,
        )
        .join(FaceSubject, IS_OF_SUBJECT)
        .join(FaceConsent, FaceConsent.id == Face.consent_id)
        .where(Face.collection_id == collection_id, Face.number > after)
        .order_by(Face.number)
        .limit(limit)
    )
    if subject is not None:
        query = query.where(FaceSubject.name == subject)
    return session.execute(query).all()


def count_searches(session: Session, tenant: str) -> int:
    """Probes the tenant has searched with today (UTC)."""
    day = int((session.scalar(NOW) or 0.0) // DAY)
    used = select(FaceSearches.probes).where(FaceSearches.tenant == tenant, FaceSearches.day == day)
    return session.scalar(used) or 0


def charge_searches(session: Session, tenant: str, probes: int, quota: int) -> None:
    """Count searches of today. Raises QuotaExceeded, and then they are not counted."""
    day = int((session.scalar(NOW) or 0.0) // DAY)
    connection = session.connection()
    charge = CHARGE[connection.dialect.name]
    used = connection.execute(charge, {"tenant": tenant, "day": day, "probes": probes}).scalar_one()
    if used > quota:
        raise QuotaExceeded(quota)
