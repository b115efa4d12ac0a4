"""What happens to a job, as a Redis stream per job and one channel that wakes its followers."""

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import structlog
from redis import Redis
from redis.exceptions import RedisError

log = structlog.get_logger()

CHANNEL = "job-events"  # "<job id> <kind>" for whoever waits
NEW_JOBS = "relay-new"  # the name of a task that has them
ROOM = "relay-room"  # the name of a task whose announced jobs were claimed
KEEP_SECONDS = 3600
KEEP_ENDED_SECONDS = 120  # after that the job row tells how it ended
KEEP_ENTRIES = 1000  # of one job
READ_ENTRIES = 100  # at once: those of a video have thousands of bytes each
RETRY_AFTER = 1.0  # seconds without trying, after Redis did not answer
TERMINAL_KINDS = frozenset({"succeeded", "failed", "cancelled"})


@dataclass(frozen=True)
class Event:
    """One entry of a job's stream; `id` is "" for a snapshot made from the job row."""

    job_id: str
    kind: str  # queued, running, progress, preview, partial, succeeded, failed, cancelled
    data: dict[str, Any] = field(default_factory=dict)
    id: str = ""


def outcome_event(
    job_id: str, state: str, code: str | None = None, detail: str | None = None
) -> Event:
    """The event of an outcome, or of a job going back to the queue."""
    return Event(job_id, state, {"error": {"code": code, "detail": detail}} if code else {})


def connect(url: str, timeout: float = 1.0) -> Redis:
    return Redis.from_url(
        url,
        decode_responses=True,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        socket_keepalive=True,
        health_check_interval=10,
    )


class Events:
    """Publishes and reads events; all of it best effort, for the job row is the truth."""

    def __init__(self, url: str) -> None:
        self.redis = connect(url)
        self._retry_at = 0.0

    def publish(
        self, events: Iterable[Event], new_jobs: str | None = None, room: str | None = None
    ) -> bool:
        """Append each event to its job's stream, wake followers, and tell the relay of a task.

        False if Redis is down.
        """
        if time.monotonic() < self._retry_at:
            return False
        pipe = self.redis.pipeline(transaction=False)
        for event in events:
            key = _key(event.job_id)
            fields: dict[Any, Any] = {"kind": event.kind, "data": json.dumps(event.data)}
            pipe.xadd(key, fields, maxlen=KEEP_ENTRIES, approximate=True)
            over = event.kind in TERMINAL_KINDS
            pipe.expire(key, KEEP_ENDED_SECONDS if over else KEEP_SECONDS)
            pipe.publish(CHANNEL, f"{event.job_id} {event.kind}")
        for channel, task in ((NEW_JOBS, new_jobs), (ROOM, room)):
            if task:
                pipe.publish(channel, task)
        try:
            pipe.execute()
        except RedisError as error:
            self._retry_at = time.monotonic() + RETRY_AFTER
            log.warning("events not published", error=str(error))
            return False
        return True

    def read_after(self, job_id: str, last_id: str) -> list[Event]:
        """The next ones after `last_id` ("": the first). Raises RedisError if Redis is down."""
        first = f"({last_id}" if last_id else "-"
        entries: Any = self.redis.xrange(_key(job_id), min=first, count=READ_ENTRIES)
        return [
            Event(job_id, fields["kind"], json.loads(fields["data"]), entry_id)
            for entry_id, fields in entries
        ]


def _key(job_id: str) -> str:
    return f"events:{job_id}"
