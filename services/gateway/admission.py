"""Refuses jobs beyond a tenant's quota, before they cost anything."""

import threading
import time

from sqlalchemy import func, select

from services.gateway.problems import Problem
from shared.db import Sessions
from shared.tables import QUEUED, Job

FRESH = 1.0  # seconds a count from the database is used, with this process's own submits added
RETRY_AFTER = 5  # seconds


class Admission:
    def __init__(self, sessions: Sessions, max_queued: int) -> None:
        self._sessions, self._max_queued = sessions, max_queued
        self._queued: dict[str, tuple[float, int]] = {}  # tenant: when counted, how many
        self._lock = threading.Lock()

    def admits(self, tenant: str) -> bool:
        """Whether the tenant may submit one more job; if so, it is counted."""
        with self._lock:
            counted_at, queued = self._queued.get(tenant, (float("-inf"), 0))
            if time.monotonic() - counted_at > FRESH:
                counted_at, queued = time.monotonic(), self._count(tenant)
            admitted = queued < self._max_queued
            self._queued[tenant] = (counted_at, queued + admitted)
        return admitted

    def refusal(self, tenant: str) -> Problem:
        queued = self._queued[tenant][1]
        return Problem(
            429,
            "queue-full",
            f"{queued} of your jobs are waiting, the most allowed. "
            "Wait until some have finished, then send this one again.",
            headers={"Retry-After": str(RETRY_AFTER)},
            position=queued,
        )

    def _count(self, tenant: str) -> int:
        waiting = select(Job.id).where(QUEUED, Job.tenant == tenant).limit(self._max_queued)
        with self._sessions.read() as session:
            return session.scalar(select(func.count()).select_from(waiting.subquery())) or 0
