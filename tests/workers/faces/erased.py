"""Deletes faces and collections, and the pictures that faces were found in."""

import time

from sqlalchemy import insert, select

from shared.db import Sessions
from shared.face_tables import (
    Face,
    FacePurge,
)
from shared.tables import StoredBlob
from tests.workers.faces.site import (
    CONSENT,
    KEY,
    make_vectors,
)
from workers.faces.audit import Actor
from workers.faces.deletion import (
    Deleted,
    delete_collection,
    delete_faces,
)
from workers.faces.enrolment import NewFace, store_faces
from workers.faces.gallery import Collection


def delete(sessions: Sessions, collection: Collection, *numbers: int) -> Deleted:
    with sessions.begin() as session:
        which = Face.number.in_(numbers)
        return delete_faces(session, KEY, Actor(collection.tenant), collection, which)


def drop(sessions: Sessions, collection: Collection) -> Deleted:
    with sessions.begin() as session:
        return delete_collection(session, KEY, Actor(collection.tenant), collection)


def read_receipt(sessions: Sessions, deleted: Deleted) -> FacePurge:
    with sessions.read() as session:
        return session.get_one(FacePurge, deleted.receipt)


def add_blobs(sessions: Sessions, *names: str, tenant: str = "ann") -> None:
    blobs = [
        {
            "tenant": tenant,
            "id": name,
            "object_name": f"{tenant}/{name}",
            "size": 1,
            "media_type": "image/png",
            "created_at": 0.0,
            "expires_at": time.time() + 3600,
        }
        for name in names
    ]
    with sessions.begin() as session:
        session.execute(insert(StoredBlob), blobs)


def add_pictured(sessions: Sessions, collection: Collection, *blobs: str) -> list[int]:
    """A face of one subject out of each picture."""
    vectors = make_vectors(len(blobs))
    faces = [NewFace("ann", v, 0.5, blob) for v, blob in zip(vectors, blobs, strict=True)]
    with sessions.begin() as session:
        return store_faces(
            session, KEY, Actor(collection.tenant), collection, faces, CONSENT
        ).numbers


def kept_blobs(sessions: Sessions, tenant: str = "ann") -> set[str]:
    with sessions.read() as session:
        return set(session.scalars(select(StoredBlob.id).where(StoredBlob.tenant == tenant)))
