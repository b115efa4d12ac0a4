"""The open indexes of a worker process: each follows its collection before it is searched."""

import hashlib
import os
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import structlog
from sqlalchemy import exists, select

from shared.db import Sessions
from shared.face_tables import Face, FaceCollection, FacePurge, FaceReplica
from shared.sealing import Keyring, Tampered, TenantKey
from shared.settings import Settings
from workers.faces.gallery import Collection, read_collection
from workers.faces.index.backend import Candidates, VectorBackend, open_vector
from workers.faces.index.erase import erase_collection
from workers.faces.index.follow import CollectionGone, catch_up
from workers.faces.index.local import LocalBackend, run_build
from workers.faces.refusals import UnknownCollection

log = structlog.get_logger()

ERASE_AGAIN = 30.0  # seconds between requests to a server to erase something
SAMPLED = 16  # faces in the files that are compared with SQL when they are opened
DONE = object()
KEPT = 64  # collections open at once, of up to 40 MB before they have files; unused ones are closed


@dataclass
class Opened:
    """The index of one collection; whoever uses it holds its lock."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    backend: VectorBackend | None = None

    def close(self) -> None:
        if self.backend is not None:
            self.backend.close()
        self.backend = None


class Indexes:
    """Safe to be used by several threads; those that want one collection take turns."""

    def __init__(self, settings: Settings, sessions: Sessions, keyring: Keyring) -> None:
        self.settings, self.sessions, self.keyring = settings, sessions, keyring
        self._open: OrderedDict[str, Opened] = OrderedDict()
        self._lock = threading.Lock()  # of the dictionary alone
        self._erasing: dict[str, Iterator[None]] = {}  # deleted collections, on a server
        self._erase_at = 0.0  # monotonic seconds

    def search(self, collection: Collection, queries: np.ndarray, count: int) -> Candidates:
        """(B, D) float32 unit vectors -> candidates; every change up to `collection.seq` counts.

        Raises UnknownCollection if it was deleted meanwhile.
        """
        with self._hold(collection.id) as opened:
            backend = self._follow(opened, collection)
            try:
                return backend.search(queries, count)
            except Tampered:  # a snapshot was changed, and is not used any more: SQL is the truth
                log.exception("snapshot refused", collection=collection.id)
                return self._follow(opened, collection).search(queries, count)

    def tend(self) -> None:
        """Let all open indexes, and those that have something to erase, follow and clean up."""
        with self.sessions.read() as session:
            copied = exists().where(FaceReplica.collection_id == FacePurge.collection_id)
            pending = session.scalars(
                select(FacePurge.collection_id)
                .where(FacePurge.purged_at.is_(None), FacePurge.whole | copied)
                .distinct()
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
        with self._hold(collection_id) as opened:
            self._follow(opened, collection).tend()

    def describe(self, collection: Collection) -> tuple[dict[str, int | float | str], int]:
        """What the index says of itself, and how many changes it had not seen when asked."""
        with self._hold(collection.id) as opened:
            seen = opened.backend.applied_seq if opened.backend else 0
            backend = self._follow(opened, collection)
            about = {**backend.describe(), "process": f"{socket.gethostname()}:{os.getpid()}"}
            if isinstance(backend, LocalBackend):
                about["ids"] = digest_numbers(backend.numbers())
        return about, max(0, collection.seq - seen)

    def close(self) -> None:
        """Builds under way are given up; what is open is closed."""
        with self._lock:
            names = list(self._open)
        for collection_id in names:
            self._close(collection_id)

    @contextmanager
    def _hold(self, collection_id: str) -> Iterator[Opened]:
        """The one entry of this collection, locked; made if there is none."""
        while True:
            with self._lock:
                opened = self._open.setdefault(collection_id, Opened())
                self._open.move_to_end(collection_id)
                self._evict()
            with opened.lock:
                if self._open.get(collection_id) is opened:  # else it was evicted while we waited
                    yield opened
                    return

    def _evict(self) -> None:
        """Close what was not used for longest and is not in use."""
        for name in list(self._open)[: max(0, len(self._open) - KEPT)]:
            opened = self._open[name]
            if opened.lock.acquire(blocking=False):
                try:
                    del self._open[name]
                    opened.close()
                finally:
                    opened.lock.release()

    def _follow(self, opened: Opened, collection: Collection) -> VectorBackend:
        """The collection's index, with every change up to `collection.seq` in it."""
        try:
            if opened.backend is None:
                opened.backend = self._make(collection)
            catch_up(self.sessions, collection.id, opened.backend, collection.seq)
        except CollectionGone as error:
            opened.close()
            raise UnknownCollection(collection.name) from error
        except Exception:
            raise
        except BaseException:  # a time limit, maybe in the middle of a change: begin anew
            opened.close()
            raise
        return opened.backend

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
        return self._make_local(collection, key)

    def _make_local(self, collection: Collection, key: TenantKey) -> LocalBackend:
        backend = LocalBackend(
            collection.id,
            collection.dimensions,
            key,
            self.settings.faces,
            partial(run_build, collection.id, self._list_variables()),
            self.settings.purge_within,
            gpu=self.settings.device != "cpu",
        )
        if not self._agrees(collection, backend):
            # The database was restored, and has given numbers in the files to other people.
            backend.discard("its files are of another history of the database")
        return backend

    def _agrees(self, collection: Collection, backend: LocalBackend) -> bool:
        """Whether the files are of this database: each seal begins with a nonce of its own."""
        newest = backend.read_newest(SAMPLED)
        with self.sessions.read() as session:
            now = session.get(FaceCollection, collection.id)
            rows = session.execute(
                select(Face.number, Face.embedding).where(
                    Face.collection_id == collection.id, Face.number.in_(newest)
                )
            ).all()
        if now and (backend.applied_seq > now.seq or max(newest, default=0) > now.last_number):
            return False
        return all(newest[number] == sealed for number, sealed in rows)

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
        with self._hold(collection_id) as opened:
            opened.close()
            with self._lock:
                self._open.pop(collection_id, None)

    def _erase(self, collection_id: str) -> None:
        """The collection is deleted: nothing of it may stay, here or on a server."""
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
