"""Waits for a job: until it ends, or event by event."""

import json
import re
import time
from collections.abc import Iterator

import structlog
from flask import request
from redis.exceptions import RedisError

from services.gateway.context import Context, context
from services.gateway.hub import Watcher
from services.gateway.views import is_finished
from shared.events import TERMINAL_KINDS, Event, outcome_event
from shared.tables import Job

log = structlog.get_logger()

WAIT_PATTERN = re.compile(r"(?:^|[,;\s])wait=(\d{1,6})(?:$|[,;\s])")
PING_EVERY = 15.0  # seconds; a comment that shows whether the client is still there


def read_wait(longest: float) -> float:
    """Seconds of the header `Prefer: wait=N` (RFC 7240), at most `longest`; 0 without it."""
    found = WAIT_PATTERN.search(request.headers.get("Prefer", ""))
    return min(float(found[1]), longest) if found else 0.0


def wait_for_end(job: Job, watcher: Watcher, seconds: float) -> Job:
    """The job as it is when it has ended, or after `seconds`; at once if too many wait."""
    ctx = context()
    if seconds == 0 or not ctx.slots.acquire(blocking=False):
        return job
    try:
        ends_at = time.monotonic() + seconds
        while not is_finished(job) and (left := ends_at - time.monotonic()) > 0:
            watcher.wait(min(left, ctx.hub.patience))
            job = read_job(ctx, job.id) or job
    finally:
        ctx.slots.release()
    return job


def read_job(ctx: Context, job_id: str) -> Job | None:
    with ctx.sessions.read() as session:
        return session.get(Job, job_id)


class EventStream:
    """The server-sent events of one job from `last_id` on, to its end."""

    def __init__(self, ctx: Context, job_id: str, last_id: str) -> None:
        self.ctx, self.job_id, self.last_id = ctx, job_id, last_id

    def __iter__(self) -> Iterator[str]:
        with self.ctx.hub.watch(self.job_id) as watcher:
            yield from self._follow(watcher)

    def _follow(self, watcher: Watcher) -> Iterator[str]:
        pinged_at = time.monotonic()
        first, anew = True, not self.last_id
        while True:
            events = self._read_new()
            if not events and (first or not watcher.wait(self.ctx.hub.patience)):
                events = self._look(first and anew)
            first = False
            for event in events:
                yield write_event(event)
                if event.kind in TERMINAL_KINDS:
                    return
            if time.monotonic() - pinged_at >= PING_EVERY:
                yield ": ping\n\n"
                pinged_at = time.monotonic()

    def _read_new(self) -> list[Event]:
        try:
            events = self.ctx.events.read_after(self.job_id, self.last_id)
        except RedisError as error:
            log.warning("events not read", job=self.job_id, error=str(error))
            return []
        if events:
            self.last_id = events[-1].id
        return events

    def _look(self, anew: bool) -> list[Event]:
        """The job row as an event, where the stream has none: it was lost, or never written."""
        job = read_job(self.ctx, self.job_id)
        if job is None:  # expired while followed
            return [outcome_event(self.job_id, "failed", "expired", "The job is deleted.")]
        if not (anew or is_finished(job)):
            return []
        # What was published before the row changed comes first.
        return self._read_new() or [
            outcome_event(job.id, job.state, job.error_code, job.error_detail)
        ]


def write_event(event: Event) -> str:
    """Server-sent event text; a snapshot has no id, so that resuming repeats nothing."""
    data = json.dumps({"job": event.job_id, **event.data})
    number = f"id: {event.id}\n" if event.id else ""
    return f"{number}event: {event.kind}\ndata: {data}\n\n"
