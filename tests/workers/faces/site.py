"""Collections in SQL that tests fill with ready vectors, so that no network has to be loaded."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sqlalchemy import func, select, update

from shared.db import Sessions
from shared.face_tables import Face
from shared.sealing import TenantKey
from workers.faces.audit import Actor
from workers.faces.enrolment import NewFace, Stored, store_faces
from workers.faces.gallery import (
    Collection,
    create_collection,
    find_collection,
    plan_collection,
)
from workers.faces.gallery_contract import Consent

D = 16
KEY = TenantKey(bytes(32))
ANN = Actor("ann", key_id=7, job_id="1" * 32)
CONSENT = Consent(purpose="door", text_sha256="0" * 64)


def make_vectors(count: int, seed: int = 0, dimensions: int = D) -> np.ndarray:
    """(N, D) float16 unit vectors."""
    wide = np.random.default_rng(seed).standard_normal((count, dimensions))
    return (wide / np.linalg.norm(wide, axis=1, keepdims=True)).astype(np.float16)


def add_collection(
    sessions: Sessions, name: str = "staff", tenant: str = "ann", **values: Any
) -> Collection:
    plan = plan_collection(tenant, name, **{"model": "test@1", "dimensions": D, **values})
    with sessions.begin() as session:
        create_collection(session, plan)
    return plan


def make_faces(subjects: Sequence[str], vectors: np.ndarray | None = None) -> list[NewFace]:
    """One for each, in this order."""
    vectors = make_vectors(len(subjects)) if vectors is None else vectors
    return [NewFace(name, v, None, None) for name, v in zip(subjects, vectors, strict=True)]


def add_faces(
    sessions: Sessions,
    collection: Collection,
    *subjects: str,
    vectors: np.ndarray | None = None,
    consent: Consent = CONSENT,
) -> Stored:
    faces = make_faces(subjects, vectors)
    actor = Actor(collection.tenant, ANN.key_id, ANN.job_id)
    with sessions.begin() as session:
        return store_faces(session, KEY, actor, collection, faces, consent)


def reread(sessions: Sessions, collection: Collection) -> Collection:
    with sessions.read() as session:
        return find_collection(session, collection.tenant, collection.name)


def set_expiry(sessions: Sessions, collection: Collection, ends: float, *numbers: int) -> None:
    """Give these faces, or all, another end: seconds since 1970."""
    which = Face.collection_id == collection.id
    if numbers:
        which &= Face.number.in_(numbers)
    with sessions.begin() as session:
        session.execute(update(Face).where(which).values(expires_at=ends))


def count(sessions: Sessions, table: Any, **values: Any) -> int:
    """Rows with these values."""
    counted = select(func.count()).select_from(table).filter_by(**values)
    with sessions.read() as session:
        return session.scalar(counted) or 0
