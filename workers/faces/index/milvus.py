"""A face collection on a Milvus server, for more faces than one machine holds.

Milvus keeps embeddings as plain numbers, in memory, in its log and in its object store: only the
copy in SQL is sealed. Run it where nobody else can reach it, on encrypted disks.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np
from sqlalchemy import exists, select, update
from sqlalchemy.orm import Session

from shared.db import Sessions, db_now, insert_into
from shared.face_tables import FaceDeletion, FaceReplica
from shared.sealing import TenantKey
from workers.faces.index.backend import Candidates, Changes, check_queries, open_vector
from workers.faces.index.milvus_server import (
    REPLICA,
    TIMEOUT,
    compact,
    connect,
    filter_by,
    is_lite,
    open_room,
)

UPSERTED, DELETED = 1_000, 10_000  # faces in one call: 2 MB at 512-d, 0.5 MB of ids
PAGE = 5_000  # faces looked through for ghosts at a time
MOST = 16_384  # hits that Milvus gives for one query

Fetch = Callable[[Sequence[int]], Mapping[int, np.ndarray]]
Hit = tuple[int, int, np.ndarray]  # number, subject, (D,) float16


class MilvusBackend:
    """A VectorBackend that any number of processes share; SQL says how far the server has come.

    `fetch` gives the (D,) float16 vectors of those numbers that are still in SQL. It decides what
    is found: a ghost, a deleted face that the server still holds, has no vector and is dropped.

    A deletion hides a face at once. Erasing begins `purge_within` seconds after `tend` notices one,
    not sooner, as it rewrites every segment of the server. `clean_seq` then says that no segment
    in use holds the face; the server's garbage collector removes the old files hours later
    (dataCoord.gc.dropTolerance) and its log keeps messages as long as it is configured to.
    milvus-lite rewrites files when it likes, so there `clean_seq` never passes a deletion.
    """

    def __init__(
        self,
        uri: str,
        token: str,
        collection_id: str,
        dimensions: int,
        key: TenantKey,
        fetch: Fetch,
        sessions: Sessions,
        index: str = "AUTOINDEX",
        purge_within: float = 3600.0,
    ) -> None:
        """Raises MilvusException if the server cannot be used."""
        self._collection, self._dimensions = collection_id, dimensions
        self._key, self._fetch, self._sessions = key, fetch, sessions
        self._filter = filter_by(collection_id)
        self._row = FaceReplica.collection_id == collection_id, FaceReplica.replica == REPLICA
        self._erases = not is_lite(uri)
        self._purge_within = purge_within
        self._dirty_since: float | None = None  # monotonic seconds
        self._erasing: Iterator[None] | None = None
        self._client = connect(uri, token)
        self._name = open_room(self._client, dimensions, index)
        with sessions.begin() as session:
            self.applied_seq = self._lock(session)
            if self.applied_seq and not len(self):  # the server is a new one, or lost its data
                self._record(session, 0)
                self.applied_seq = 0

    def __len__(self) -> int:
        rows = self._client.query(
            self._name, filter=self._filter, output_fields=["count(*)"], timeout=TIMEOUT
        )
        return int(rows[0]["count(*)"])

    def apply(self, changes: Changes) -> None:
        """Follow the collection; raises Tampered.

        Two processes may follow at once, one of them with changes read before a deletion. Each
        writes under the lock of the replica's row, and only while the row is behind its changes;
        deletions come last, and the row moves in the transaction of the last of them. A process
        that dies halfway leaves the row where it was. A ghost that slips in between two calls of
        a very large deletion is never found (`fetch`), and goes when the server is erased.
        """
        deleted = changes.deleted.tolist()
        calls = [
            partial(self._upsert, changes, slice(start, start + UPSERTED))
            for start in range(0, len(changes.numbers), UPSERTED)
        ]
        calls += [
            partial(self._delete, deleted[start : start + DELETED])
            for start in range(0, len(deleted), DELETED)
        ]
        for place in range(max(1, len(calls))):  # each in a transaction: it must not idle for long
            with self._sessions.begin() as session:
                done = self._lock(session)
                if done >= changes.seq or done < self.applied_seq:  # or filled again from nothing
                    self.applied_seq = done
                    return
                if place < len(calls):
                    calls[place]()
                if place >= len(calls) - 1:
                    self._record(session, changes.seq)
        self.applied_seq = changes.seq

    def search(self, queries: np.ndarray, count: int) -> Candidates:
        """(B, D) float32 unit vectors -> the live faces that the server holds to be nearest.

        Raises ValueError for anything else than B finite vectors of D numbers.
        """
        check_queries(queries, self._dimensions)
        found: list[list[Hit]] = [[] for _ in queries]
        waiting = list(range(len(queries))) if count > 0 else []
        limit = min(count, MOST)
        while waiting:
            again = []
            for query, (live, cut) in zip(waiting, self._ask(queries[waiting], limit), strict=True):
                found[query] = live[:count]
                if cut and len(live) < count:  # ghosts took the places of others
                    again.append(query)
            waiting, limit = again, min(2 * limit, MOST)
        return arrange(found, count, self._dimensions)

    def tend(self) -> None:
        """See how far other processes came; erase what was deleted, one step of it at a time."""
        with self._sessions.read() as session:
            self.applied_seq, clean_seq = session.execute(
                select(FaceReplica.applied_seq, FaceReplica.clean_seq).where(*self._row)
            ).one()
            deleted = FaceDeletion.seq.between(clean_seq + 1, self.applied_seq)
            dirty = session.scalar(
                select(exists().where(FaceDeletion.collection_id == self._collection, deleted))
            )
        if dirty:
            self._continue_erasing()
        else:
            self._erasing, self._dirty_since = None, None
            if clean_seq < self.applied_seq:
                self._mark_clean(self.applied_seq)

    def describe(self) -> dict[str, int | float | str]:
        with self._sessions.read() as session:
            clean_seq = session.scalar(select(FaceReplica.clean_seq).where(*self._row))
        return {
            "kind": "milvus",
            "faces": len(self),
            "applied_seq": self.applied_seq,
            "clean_seq": clean_seq or 0,
        }

    def close(self) -> None:
        self._client.close()

    def _lock(self, session: Session) -> int:
        """The replica's row is ours until the transaction ends; how far it has come."""
        row = insert_into(session, FaceReplica).values(
            collection_id=self._collection,
            replica=REPLICA,
            applied_seq=0,
            clean_seq=0,
            seen_at=db_now(),
        )
        session.execute(row.on_conflict_do_nothing())
        query = select(FaceReplica.applied_seq).where(*self._row).with_for_update()
        return session.execute(query).scalar_one()

    def _record(self, session: Session, applied_seq: int) -> None:
        values = {"applied_seq": applied_seq, "seen_at": db_now()}
        session.execute(update(FaceReplica).where(*self._row).values(values))

    def _upsert(self, changes: Changes, part: slice) -> None:
        faces = zip(
            changes.numbers[part].tolist(),
            changes.subjects[part].tolist(),
            changes.sealed[part],
            strict=True,
        )
        rows = [
            {
                "id": self._id(number),
                "collection": self._collection,
                "number": number,
                "subject": subject,
                "vector": open_vector(self._key, self._collection, number, sealed).astype("<f4"),
            }
            for number, subject, sealed in faces
        ]
        self._client.upsert(self._name, rows, timeout=TIMEOUT)

    def _delete(self, numbers: Sequence[int]) -> None:
        for start in range(0, len(numbers), DELETED):
            ids = [self._id(number) for number in numbers[start : start + DELETED]]
            self._client.delete(self._name, ids=ids, timeout=TIMEOUT)

    def _id(self, number: int) -> str:
        return f"{self._collection}:{number}"

    def _ask(self, queries: np.ndarray, limit: int) -> Iterator[tuple[list[Hit], bool]]:
        """The live ones among the `limit` nearest of each query; whether there may be more."""
        answers = self._client.search(
            self._name,
            data=queries.astype(np.float32),
            filter=self._filter,
            limit=limit,
            output_fields=["number", "subject"],
            timeout=TIMEOUT,
        )
        faces = [[hit["entity"] for hit in answer] for answer in answers]
        vectors = self._fetch(sorted({face["number"] for row in faces for face in row}))
        for row in faces:
            live = [
                (face["number"], face["subject"], vectors[face["number"]])
                for face in row
                if face["number"] in vectors
            ]
            yield live, len(row) == limit < MOST

    def _continue_erasing(self) -> None:
        now = time.monotonic()
        if self._dirty_since is None:
            self._dirty_since = now
        if self._erasing is None and self._erases and now - self._dirty_since >= self._purge_within:
            self._erasing = self._erase(self.applied_seq)
        if self._erasing is not None and next(self._erasing, "done") == "done":
            self._erasing, self._dirty_since = None, None

    def _erase(self, seq: int) -> Iterator[None]:
        """Erase the deletions up to `seq` from the server's segments, a moment's work at a time.

        Ghosts first: a writer that was frozen until it lost its lock may have left some.
        """
        pages = self._client.query_iterator(
            self._name, batch_size=PAGE, filter=self._filter, output_fields=["number"]
        )
        while page := [face["number"] for face in pages.next()]:
            self._delete(sorted(set(page) - self._fetch(page).keys()))
            yield
        pages.close()
        yield from compact(self._client, self._name)
        self._mark_clean(seq)

    def _mark_clean(self, seq: int) -> None:
        behind = FaceReplica.clean_seq < seq  # another process may have come further
        values = {"clean_seq": seq, "seen_at": db_now()}
        with self._sessions.begin() as session:
            session.execute(update(FaceReplica).where(*self._row, behind).values(values))


def arrange(found: Sequence[Sequence[Hit]], count: int, dimensions: int) -> Candidates:
    numbers = np.full((len(found), count), -1, np.int64)
    subjects = np.full((len(found), count), -1, np.int64)
    vectors = np.zeros((len(found), count, dimensions), np.float16)
    for row, hits in enumerate(found):
        for place, (number, subject, vector) in enumerate(hits):
            numbers[row, place], subjects[row, place] = number, subject
            vectors[row, place] = vector
    return Candidates(numbers, subjects, vectors)
