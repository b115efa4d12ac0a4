"""Collections of faces in SQL, changed by one transaction each, and local indexes that follow."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import delete, insert, update

from shared.db import Sessions
from shared.face_tables import Face, FaceCollection, FaceConsent, FaceDeletion
from tests.workers.faces.index.gallery import Gallery
from workers.faces.index.build import build
from workers.faces.index.files import Place
from workers.faces.index.follow import catch_up
from workers.faces.index.local import LocalBackend
from workers.faces.index.policy import Policy

TINY = Policy(flat=30, seal=10, candidates=10_000)  # that many: the codes cannot miss any
REPLICA = "f" * 32

CONSENT = {
    "subject_number": 0,
    "purpose": "test",
    "text_sha256": "0" * 64,
    "given_at": 0.0,
    "recorded_at": 0.0,
    "job_id": "0" * 32,
}


@dataclass
class StoredGallery(Gallery):
    """A gallery that writes down in SQL what it keeps in memory."""

    sessions: Sessions = field(kw_only=True)

    def __post_init__(self) -> None:
        collection = {
            "id": self.collection_id,
            "tenant": "tenant",
            "name": self.collection_id,
            "description": "",
            "model": "test@1",
            "dimensions": self.dimensions,
            "backend": "local",
            "target_fpir": 0.01,
            "seq": 0,
            "last_number": 0,
            "faces": 0,
            "created_at": 0.0,
        }
        consent = {"id": self.collection_id, "collection_id": self.collection_id, **CONSENT}
        with self.sessions.begin() as session:
            session.execute(insert(FaceCollection), [collection])
            session.execute(insert(FaceConsent), [consent])

    def enrol(self, vectors: np.ndarray, subject: int = 1) -> list[int]:
        numbers = super().enrol(vectors, subject)
        self._commit(insert(Face), [self._row(number, subject) for number in numbers])
        return numbers

    def delete(self, *numbers: int) -> None:
        super().delete(*numbers)
        tombstones = [
            {"collection_id": self.collection_id, "seq": self.seq, "number": number}
            for number in numbers
        ]
        own = Face.collection_id == self.collection_id
        self._commit(
            insert(FaceDeletion), tombstones, delete(Face).where(own, Face.number.in_(numbers))
        )

    def _commit(self, statement: Any, rows: list[dict[str, Any]], *others: Any) -> None:
        with self.sessions.begin() as session:
            session.execute(statement, rows)
            for other in others:
                session.execute(other)
            session.execute(
                update(FaceCollection)
                .where(FaceCollection.id == self.collection_id)
                .values(seq=self.seq, last_number=len(self.born), faces=len(self.live))
            )

    def _row(self, number: int, subject: int) -> dict[str, Any]:
        return {
            "collection_id": self.collection_id,
            "number": number,
            "seq": self.seq,
            "subject_number": subject,
            "consent_id": self.collection_id,
            "model": "test@1",
            "embedding": self.seal(number),
            "created_at": 0.0,
        }


class BuiltHere:
    """Builds at once, where a real one would start a process."""

    def __init__(self, gallery: StoredGallery, folder: Path) -> None:
        place = Place(
            folder / gallery.collection_id, gallery.collection_id, gallery.dimensions, gallery.key
        )
        build(gallery.sessions, place, REPLICA)

    def poll(self) -> int | None:
        return 0

    def terminate(self) -> None:
        """It has ended."""

    def wait(self) -> int:
        return 0


def open_local(gallery: StoredGallery, folder: Path, **options: Any) -> LocalBackend:
    """With room for very few faces in memory."""
    options = {"policy": TINY, "start_build": lambda: BuiltHere(gallery, folder)} | options
    return LocalBackend(gallery.collection_id, gallery.dimensions, gallery.key, folder, **options)


def follow(index: LocalBackend, gallery: StoredGallery) -> None:
    catch_up(gallery.sessions, gallery.collection_id, index, gallery.seq)
