"""The index of a face collection on this machine: segments on disk, the newest faces in memory."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from itertools import compress
from pathlib import Path
from typing import Protocol

import faiss
import numpy as np
import structlog

from shared.sealing import Tampered, TenantKey
from workers.faces.index.backend import (
    Candidates,
    Changes,
    check_queries,
    open_vector,
    sealed_size,
)
from workers.faces.index.build import NOTHING
from workers.faces.index.exact import Tail
from workers.faces.index.files import (
    MANIFEST,
    Manifest,
    Place,
    identify_manifest,
    is_locked,
    read_manifest,
)
from workers.faces.index.gpu import has_gpu, move_to_gpu
from workers.faces.index.policy import Policy, choose_fetch, choose_policy
from workers.faces.index.segment import Segment
from workers.faces.index.view import View

log = structlog.get_logger()

BUILD = "workers.faces.index.build"
CROWD = 4  # times the faces that memory is meant for: then `apply` waits for the build
RETRY = 1.0, 60.0  # seconds until a build that brought nothing is tried again: at first, at most
NOBODY = np.zeros(0, np.int64)


class Process(Protocol):
    """A build under way, as subprocess.Popen."""

    def poll(self) -> int | None: ...

    def terminate(self) -> None: ...

    def wait(self) -> int: ...


class LocalBackend:
    """A VectorBackend on FAISS. Searches may run in other threads than the one that does the rest.

    `folder` holds the indexes of all collections on this machine; the processes of the machine
    share it. `start_build` starts a process that writes the next generation of the files. A deleted
    face is in none of them after `purge_within` seconds, if a build takes no more than a quarter
    of that.
    """

    def __init__(
        self,
        collection_id: str,
        dimensions: int,
        key: TenantKey,
        folder: Path,
        start_build: Callable[[], Process] | None = None,
        purge_within: float = 60.0,
        policy: Policy | None = None,
        threads: int = 1,  # of FAISS, in the whole process
        gpu: bool = False,  # search segments exactly on a CUDA device, if there is one
    ) -> None:
        faiss.omp_set_num_threads(threads)
        self._place = Place(folder / collection_id, collection_id, dimensions, key)
        self._start_build = start_build or partial(run_build, collection_id)
        self._policy = policy or choose_policy(dimensions)
        self._purge_within = purge_within
        self._gpu = gpu and has_gpu()
        self._builder: Process | None = None
        self._began_with: tuple[int, int] | None = None  # the manifest when the build began
        self._retry = RETRY[0]
        self._retry_at = 0.0  # monotonic seconds
        self._start_empty()
        self._take_over()

    def _start_empty(self) -> None:
        self._view = View((), Tail.empty(self._place.dimensions))
        self.applied_seq = 0  # changes up to here are in it
        self._last_number = 0  # no face up to here is new
        self._gone = NOBODY  # deleted, but maybe in the files of a build that is under way
        self._deleted_seq = 0  # of the newest deletion
        self._deleted_at: float | None = None  # of the first that may be in a file; monotonic
        self._manifest = NOTHING
        self._seen: tuple[int, int] | None = None  # which manifest that is

    def __len__(self) -> int:
        return len(self._view)

    def apply(self, changes: Changes) -> None:
        """Follow the collection; raises Tampered if an embedding in SQL is not what was sealed.

        Waits for a build if more faces come than memory is meant for.
        """
        if changes.seq <= self.applied_seq:
            return
        new = changes.numbers > self._last_number
        numbers, subjects = changes.numbers[new], changes.subjects[new]
        vectors = self._open(numbers, list(compress(changes.sealed, new)))
        if len(changes.deleted):
            self._gone = np.union1d(self._gone, changes.deleted)
            self._deleted_seq = changes.seq
            self._deleted_at = self._deleted_at or time.monotonic()
        self._view = self._view.add(numbers, subjects, vectors).erase(changes.deleted)
        self._last_number = int(numbers.max(initial=self._last_number))
        self.applied_seq = changes.seq
        while len(self._view.tail) > CROWD * self._room() and self._is_building():
            time.sleep(0.01)

    def search(self, queries: np.ndarray, count: int) -> Candidates:
        """(B, D) float32 unit vectors -> at most `count` live faces near each, best first.

        Raises ValueError for anything else than B finite vectors of D numbers; Tampered if a row
        on disk was changed: the index is then empty, to be filled from SQL again.
        """
        check_queries(queries, self._place.dimensions)
        try:
            fetch = choose_fetch(count, self._policy.candidates)
            return self._view.search(queries, count, fetch)
        except Tampered as error:
            self._refuse_files(error)
            self._start_empty()
            raise

    def tend(self) -> None:
        """Take over a new generation of the files; begin the next where there is a reason to."""
        ended = self._builder is not None and self._builder.poll() is not None
        self._take_over()
        if ended:
            self._end_build()
        if self._builder is None and self._needs_build() and time.monotonic() >= self._retry_at:
            self._begin_build()

    def numbers(self) -> np.ndarray:
        """(N,) int64: every live face, rising."""
        view = self._view
        parts = [segment.numbers[segment.live] for segment in view.segments]
        return np.concatenate([*parts, view.tail.numbers])

    def describe(self) -> dict[str, int | float | str]:
        view, manifest = self._view, self._manifest
        hot = sum(segment.hot_bytes for segment in view.segments) + view.tail.nbytes
        return {
            "kind": "rabitq" if view.segments else "flat",
            "faces": len(view),
            "segments": len(view.segments),
            "tail": len(view.tail),
            "dead": sum(segment.dead for segment in view.segments),
            "hot_bytes": hot,
            "hot_bytes_per_face": hot / max(1, len(view)),
            "disk_bytes": sum(segment.disk_bytes for segment in view.segments),
            "generation": manifest.generation,
            "applied_seq": self.applied_seq,
            "clean_seq": manifest.clean_seq if manifest.generation else self.applied_seq,
        }

    def read_newest(self, count: int) -> dict[int, bytes]:
        """Number -> sealed embedding of the newest faces on disk, exactly as it was in SQL."""
        if not self._view.segments:
            return {}
        newest, size = self._view.segments[-1], sealed_size(self._place.dimensions)
        return {
            int(newest.numbers[place]): newest.rows[place * size : (place + 1) * size]
            for place in np.flatnonzero(newest.live)[-count:].tolist()
        }

    def discard(self, reason: str) -> None:
        """Forget the files and what was read of them: SQL is read again from the beginning."""
        self._refuse_files(ValueError(reason))
        self._start_empty()

    def close(self) -> None:
        """A build under way is given up: the next process begins it again."""
        if self._builder is not None:
            self._builder.terminate()
            self._builder.wait()
        self._start_empty()

    def _open(self, numbers: np.ndarray, sealed: list[bytes]) -> np.ndarray:
        """(N, D) float16."""
        key, collection = self._place.key, self._place.collection_id
        vectors = [
            open_vector(key, collection, number, row)
            for number, row in zip(numbers.tolist(), sealed, strict=True)
        ]
        return np.array(vectors, np.float16).reshape(-1, self._place.dimensions)

    def _take_over(self) -> None:
        """Go on with the files as they are now; refuse what was changed or is incomplete."""
        while (seen := identify_manifest(self._place)) != self._seen:
            try:
                self._load(read_manifest(self._place) or NOTHING)
                self._seen = seen
            except FileNotFoundError as error:
                if identify_manifest(self._place) == seen:  # else the next one is there already
                    self._refuse_files(error)
            except Tampered as error:
                self._refuse_files(error)

    def _load(self, manifest: Manifest) -> None:
        """Replace what is in the new segments; faces that came or went later stay so."""
        if manifest.generation:
            if manifest.seq < self._manifest.seq:
                raise Tampered("The manifest is an older one.")
            here = {segment.name: segment for segment in self._view.segments}
            opened = [here[n] if n in here else self._open_segment(n) for n in manifest.segments]
            known = [segment.numbers[segment.find(self._gone)] for segment in opened]
            segments = tuple(segment.erase(self._gone) for segment in opened)
            tail = self._view.tail
            self._view = View(segments, tail.keep(tail.numbers > manifest.last_number))
            later = self._gone[self._gone > manifest.last_number]
            self._gone = np.unique(np.concatenate([*known, later]))
            self.applied_seq = max(self.applied_seq, manifest.seq)
            self._last_number = max(self._last_number, manifest.last_number)
            clean = max(self._deleted_seq, manifest.seq) <= manifest.clean_seq
            self._deleted_at = None if clean else time.monotonic()
        self._manifest = manifest

    def _open_segment(self, name: str) -> Segment:
        segment = Segment.open(self._place, name)
        return move_to_gpu(segment) if self._gpu else segment

    def _refuse_files(self, error: Exception) -> None:
        """Without its manifest nobody reads a generation again; the next build starts from SQL."""
        log.error("index refused", collection=self._place.collection_id, error=str(error))
        (self._place.folder / MANIFEST).unlink(missing_ok=True)

    def _room(self) -> int:
        """Faces that may wait in memory."""
        return self._policy.seal if self._view.segments else self._policy.flat

    def _needs_build(self) -> bool:
        if self._manifest.generation and self._deleted_at is not None:
            # the other half is for a build under way that does not know of it, and for its own
            due = time.monotonic() - self._deleted_at >= self._purge_within / 2
        else:
            due = bool(self._view.segments) and not self._manifest.generation  # refused
        return due or len(self._view.tail) > self._room()

    def _is_building(self) -> bool:
        self.tend()
        return self._builder is not None or is_locked(self._place.folder)

    def _begin_build(self) -> None:
        if not is_locked(self._place.folder):  # else another process of this machine is at it
            self._began_with = self._seen
            self._builder = self._start_build()

    def _end_build(self) -> None:
        if self._seen != self._began_with:
            self._retry = RETRY[0]
        else:
            log.warning("build brought nothing", collection=self._place.collection_id)
            self._retry_at = time.monotonic() + self._retry
            self._retry = min(2 * self._retry, RETRY[1])
        self._builder = None


def run_build(
    collection_id: str, variables: Mapping[str, str] | None = None
) -> "subprocess.Popen[bytes]":
    """Begin to write the next generation, in a process with this one's environment.

    `variables` are added to it: settings that came from elsewhere.
    """
    environment = {**os.environ, **(variables or {})}
    return subprocess.Popen([sys.executable, "-P", "-m", BUILD, collection_id], env=environment)
