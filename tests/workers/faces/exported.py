"""A collection of every kind of face, and its file with parts of it changed."""

import io
import json
import time
import zipfile
from collections.abc import Callable

import numpy as np

from shared.db import Sessions
from shared.face_tables import Face, FaceCollection
from tests.workers.faces.site import (
    CONSENT,
    KEY,
    add_collection,
    add_faces,
    make_vectors,
    reread,
)
from workers.faces.archive import read_archive
from workers.faces.gallery import Collection
from workers.faces.transfer import write_archive

NAMES = ["ann", "bob", "ann", "Zoë 🙂", "bob"]


def ignore(_: float) -> None:
    """Nobody follows."""


def fill(sessions: Sessions, **values: object) -> Collection:
    """A collection with holes, expiry times, qualities and two consents of one person."""
    plan = add_collection(sessions, **{"description": "é\n", "target_fpir": 0.02, **values})
    add_faces(sessions, plan, *NAMES, vectors=make_vectors(5))
    later = CONSENT.model_copy(update={"purpose": "canteen", "expires_at": time.time() + 1e6})
    [number] = add_faces(sessions, plan, "ann", vectors=make_vectors(1, 7), consent=later).numbers
    with sessions.begin() as session:
        session.get_one(Face, (plan.id, number)).quality = 0.75
        session.delete(session.get_one(Face, (plan.id, number - 4)))
        session.get_one(FaceCollection, plan.id).faces -= 1
    return reread(sessions, plan)


def export(sessions: Sessions, collection: Collection, encrypted: bool = False) -> bytes:
    with sessions.read() as session:
        return write_archive(session, KEY, collection, encrypted, ignore)


def repack(plain: bytes, kind: int = zipfile.ZIP_STORED, **members: bytes | None) -> bytes:
    """The file with some members replaced; None takes one out."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(plain)) as old, zipfile.ZipFile(file, "w", kind) as new:
        for member in old.namelist():
            content = members.get(member.partition(".")[0], old.read(member))
            if content is not None:
                new.writestr(member, content)
    return file.getvalue()


def change_about(plain: bytes, **values: object) -> bytes:
    with zipfile.ZipFile(io.BytesIO(plain)) as archive:
        about = json.loads(archive.read("collection.json"))
    return repack(plain, collection=json.dumps({**about, **values}).encode())


def change_array(plain: bytes, name: str, change: Callable[[np.ndarray], np.ndarray]) -> bytes:
    array = read_archive(plain, KEY).arrays[name].copy()
    return repack(plain, **{name: to_npy(change(array))})


def to_npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()
