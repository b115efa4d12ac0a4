"""The open indexes of a worker process: each follows its collection before it is searched."""

import hashlib
import os
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import numpy as np
import structlog
from sqlalchemy import select

from shared.db import Sessions
from shared.face_tables import Face, FacePurge, FaceReplica
from shared.sealing import Keyring, Tampered
from shared.settings import Settings
from workers.faces.gallery import Collection, read_collection
from workers.faces.index.backend import Candidates, VectorBackend, open_vector
from workers.faces.index.erase import erase_collection
from workers.faces.index.follow import CollectionGone, catch_up
from workers.faces.index.local import LocalBackend, run_build
from workers.faces.refusals import UnknownCollection

log = structlog.get_logger()

ERASE_AGAIN = 30.0  # seconds between requests to a server to erase something
DONE = object()
KEPT = 256  # collections open at once; the one unused for longest is closed


class Indexes:
    """Safe to be used by several threads; they take turns."""

    def __init__(self, settings: Settings, sessions: Sessions, keyring: Keyring) -> None:
        self.settings, self.sessions, self.keyring = settings, sessions, keyring
        self._open: OrderedDict[str, tuple[Collection, VectorBackend]] = OrderedDict()
        self._lock = threading.RLock()
        self._erasing: dict[str, Iterator[None]] = {}  # deleted collections, on a server
        self._erase_at = 0.0  # monotonic seconds

    def search(self, collection: Collection, queries: np.ndarray, count: int) -> Candidates:
        """(B, D) float32 unit vectors -> candidates; every change up to `collection.seq` counts.

        Raises UnknownCollection if it was deleted meanwhile.
        """
        with self._lock:
            backend = self.follow(collection)
            try:
                return backend.search(queries, count)
            except Tampered:  # a snapshot was changed, and is not used any more: SQL is the truth
                log.exception("snapshot refused", collection=collection.id)
                return self.follow(collection).search(queries, count)

    def follow(self, collection: Collection) -> VectorBackend:
        """The collection's index, with every change up to `collection.seq` in it."""
        with self._lock:
            backend = self._find(collection)
            try:
                catch_up(self.sessions, collection.id, backend, collection.seq)
            except CollectionGone as error:
                self._close(collection.id)
                raise UnknownCollection(collection.name) from error
            return backend

    def tend(self) -> None:
        """Let all open indexes, and those that have something to erase, follow and clean up."""
        with self.sessions.read() as session:
            pending = session.scalars(
                select(FacePurge.collection_id).where(FacePurge.purged_at.is_(None)).distinct()
            ).all()
        with self._lock:
            names = list(dict.fromkeys([*self._open, *pending]))
        for collection_id in names:
            try:
                self._tend_one(collection_id)
            except Exception:  # one index that cannot be reached must not hold up the others
                log.exception("index not tended", collection=collection_id)

    def _tend_one(self, collection_id: str) -> None:
        with self.sessions.read() as session:
            collection = read_collection(session, collection_id)
        if collection is None:
            self._erase(collection_id)
            return
        with self._lock:
            self.follow(collection).tend()

    def describe(self, collection: Collection) -> tuple[dict[str, int | float | str], int]:
        """What the index says of itself, and how many changes it had not seen when asked."""
        with self._lock:
            lag = collection.seq - self._find(collection).applied_seq
            backend = self.follow(collection)
            about = {**backend.describe(), "process": f"{socket.gethostname()}:{os.getpid()}"}
            if isinstance(backend, LocalBackend):
                about["ids"] = digest_numbers(backend.numbers())
        return about, lag

    def close(self) -> None:
        with self._lock:
            for collection_id in list(self._open):
                self._close(collection_id)

    def _find(self, collection: Collection) -> VectorBackend:
        if collection.id not in self._open:
            while len(self._open) >= KEPT:
                self._close(next(iter(self._open)))
            self._open[collection.id] = (collection, self._make(collection))
        self._open.move_to_end(collection.id)
        return self._open[collection.id][1]

    def _make(self, collection: Collection) -> VectorBackend:
        key = self.keyring.key(collection.tenant)
        if collection.backend == "milvus":
            from workers.faces.index.milvus import MilvusBackend  # an extra: only if it is chosen

            return MilvusBackend(
                self.settings.milvus_uri,
                self.settings.milvus_token,
                collection.id,
                collection.dimensions,
                key,
                lambda numbers: self._fetch(collection, numbers),
                self.sessions,
            )
        return LocalBackend(
            collection.id,
            collection.dimensions,
            key,
            self.settings.faces,
            partial(run_build, collection.id, self._list_variables()),
            self.settings.purge_within,
        )

    def _list_variables(self) -> dict[str, str]:
        """Settings of this process that a build has to share, whatever the environment says."""
        return {
            "ATELIER_HOME": str(self.settings.home.resolve()),
            "ATELIER_FACES_DIR": str(self.settings.faces),
            "ATELIER_MASTER_KEY": self.settings.master_key,
            "DATABASE_URL": self.settings.database,
        }

    def _fetch(self, collection: Collection, numbers: Sequence[int]) -> Mapping[int, np.ndarray]:
        """Face -> (D,) float16 out of SQL, for those that still exist."""
        with self.sessions.read() as session:
            rows = session.execute(
                select(Face.number, Face.embedding).where(
                    Face.collection_id == collection.id, Face.number.in_(numbers)
                )
            ).all()
        key = self.keyring.key(collection.tenant)
        return {n: open_vector(key, collection.id, n, sealed) for n, sealed in rows}

    def _close(self, collection_id: str) -> None:
        if collection_id in self._open:
            self._open.pop(collection_id)[1].close()

    def _erase(self, collection_id: str) -> None:
        """The collection is deleted: nothing of it may stay, here or on a server."""
        with self._lock:
            self._close(collection_id)
        erase_collection(collection_id, self.settings.faces, self.sessions)
        with self.sessions.read() as session:
            served = session.get(FaceReplica, (collection_id, "milvus"))
        if served and self.settings.milvus_uri:
            self._erase_on_server(collection_id)

    def _erase_on_server(self, collection_id: str) -> None:
        """A moment's work each time; begun again after a while if the server still holds it."""
        steps = self._erasing.pop(collection_id, None)
        if steps is None and time.monotonic() >= self._erase_at:
            from workers.faces.index import milvus_server  # an extra: only if it is chosen

            self._erase_at = time.monotonic() + ERASE_AGAIN
            uri, token = self.settings.milvus_uri, self.settings.milvus_token
            steps = milvus_server.erase_collection(uri, token, collection_id, self.sessions)
        if steps is not None and next(steps, DONE) is not DONE:
            self._erasing[collection_id] = steps


def digest_numbers(numbers: np.ndarray) -> str:
    """(N,) rising -> the same for the same faces: shows that an index holds just those of SQL."""
    return hashlib.sha256(numbers.astype("<i8").tobytes()).hexdigest()
