"""The thread that keeps a worker's claims alive and brings it orders from outside."""

import os
import signal
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import structlog
from sqlalchemy import delete
from sqlalchemy.exc import SQLAlchemyError

from shared.db import Sessions, db_now, insert_into
from shared.jobs import store
from shared.liveness import show_alive
from shared.settings import Settings
from shared.tables import WorkerProcess

log = structlog.get_logger()

TICK = 1.0  # seconds between looks at the jobs this process runs
STOP_GRACE = 25.0  # seconds a batch may go on after a planned stop began
CALL_GRACE = 10.0  # seconds over its time limit before a stuck call costs the process


@dataclass
class Held:
    claim: store.Claim
    order: str | None = None  # cancel, late, lost or stop
    progress: dict[str, Any] = field(default_factory=dict)


class Heartbeat(threading.Thread):
    """Extends leases, reads cancels and deadlines, ends a process that is stuck."""

    def __init__(self, settings: Settings, sessions: Sessions, queue: str) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self.settings, self.sessions, self.queue = settings, sessions, queue
        self.process = f"{socket.gethostname()}:{os.getpid()}"
        self.stopping = threading.Event()
        self.call_ends: float | None = None  # monotonic time at which the current call is stuck
        self._held: dict[str, Held] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._parent = os.getppid()
        self._beat_at = 0.0
        self._stop_at: float | None = None

    def hold(self, claims: list[store.Claim]) -> None:
        with self._lock:
            self._held.update({claim.id: Held(claim) for claim in claims})

    def drop(self, claims: list[store.Claim]) -> None:
        with self._lock:
            for claim in claims:
                self._held.pop(claim.id, None)

    def holds(self, job_id: str) -> bool:
        with self._lock:
            return job_id in self._held

    def order(self, job_id: str) -> str | None:
        """Why the job should stop now: cancel, late, lost or stop; None to go on."""
        held = self._held.get(job_id)
        if held is None:
            return "lost"
        return held.order or ("stop" if self.stopping.is_set() else None)

    def note_progress(self, job_id: str, progress: dict[str, Any]) -> None:
        held = self._held.get(job_id)
        if held:
            held.progress = progress

    def run(self) -> None:
        while not self._ended.is_set():
            try:
                self.tick()
            except (SQLAlchemyError, OSError) as error:  # nothing to do: the lease decides
                log.warning("heartbeat failed", error=str(error))
            except MemoryError:  # of what the job does just now; a word of it may find no room too
                with suppress(MemoryError):
                    log.warning("heartbeat failed", error="out of memory")
            self._ended.wait(TICK)

    def tick(self) -> None:
        self._end_if_stuck()
        self._end_if_orphaned()
        with self._lock:
            held = dict(self._held)
        if held:
            self._read_orders(held)
            self._give_up_on_stop(held)
        if time.monotonic() - self._beat_at >= self.settings.heartbeat:
            try:  # shown first: the beat waits where an outcome is being written
                show_alive(self.settings.home, self.queue)
            finally:
                self._beat(held)
            self._beat_at = time.monotonic()

    def leave(self) -> None:
        """A planned end: this process is no longer counted, and beats no more."""
        self._ended.set()
        if self.is_alive():
            self.join(timeout=15)  # a beat in progress would put the row back
        with self.sessions.begin() as session:
            session.execute(delete(WorkerProcess).where(WorkerProcess.id == self.process))

    def _read_orders(self, held: dict[str, Held]) -> None:
        with self.sessions.read() as session:
            fences = {job_id: item.claim.fence for job_id, item in held.items()}
            orders = store.read_orders(session, fences)
        for job_id, order in orders.items():
            held[job_id].order = order

    def _beat(self, held: dict[str, Held]) -> None:
        """The process is counted even where the rows of its jobs are locked."""
        with self.sessions.begin() as session:
            row = insert_into(session, WorkerProcess).values(
                id=self.process, queue=self.queue, seen_at=db_now()
            )
            session.execute(
                row.on_conflict_do_update(
                    index_elements=["id"],
                    set_={"seen_at": row.excluded.seen_at, "queue": row.excluded.queue},
                )
            )
        fences = {i: h.claim.fence for i, h in held.items() if h.order != "lost"}
        progress = {i: h.progress for i, h in held.items() if h.progress}
        if fences:
            with self.sessions.begin() as session:
                store.extend(session, fences, self.settings.lease, progress)

    def _give_up_on_stop(self, held: dict[str, Held]) -> None:
        if not self.stopping.is_set():
            return
        self._stop_at = self._stop_at or time.monotonic() + STOP_GRACE
        if time.monotonic() < self._stop_at:
            return
        with self.sessions.begin() as session:
            for item in held.values():
                store.release(session, item.claim)

    def _end_if_stuck(self) -> None:
        if self.call_ends is not None and time.monotonic() > self.call_ends + CALL_GRACE:
            log.error("a worker method ignored its time limit; ending the process")
            os.kill(os.getpid(), signal.SIGKILL)

    def _end_if_orphaned(self) -> None:
        if os.getppid() != self._parent and not self._held:
            os.kill(os.getpid(), signal.SIGKILL)
