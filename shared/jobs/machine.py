"""The rules of a job's life as pure functions; shared/jobs/store.py does the same in SQL.

Every function takes a job and returns the next one, or None where the step is not allowed:
then nothing may be written. `now` is always the database's clock, in seconds.
"""

from dataclasses import dataclass, replace
from enum import StrEnum


class State(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


TERMINAL = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})

WORKER_LOST = "worker_lost"
DEADLINE_EXCEEDED = "deadline_exceeded"


@dataclass(frozen=True)
class Job:
    deadline_at: float
    state: State = State.QUEUED
    fence: int = 0  # rises with every claim, never falls
    failures: int = 0  # leases that ended without an outcome
    lease_until: float | None = None  # set while running
    dispatched_at: float | None = None  # set while queued and announced to the broker
    cancel_requested: bool = False
    error_code: str | None = None


def announce(job: Job, now: float) -> Job | None:
    """The relay sends a message for a waiting job."""
    if job.state is not State.QUEUED or job.dispatched_at is not None:
        return None
    return replace(job, dispatched_at=now)


def forget_announcement(job: Job) -> Job | None:
    """The broker lost its data, so the message is gone."""
    if job.state is not State.QUEUED or job.dispatched_at is None:
        return None
    return replace(job, dispatched_at=None)


def claim(job: Job, now: float, lease: float) -> Job | None:
    """A worker takes an announced job; whoever held it before can no longer write."""
    if job.state is not State.QUEUED or job.dispatched_at is None or now >= job.deadline_at:
        return None
    return replace(
        job,
        state=State.RUNNING,
        fence=job.fence + 1,
        lease_until=now + lease,
        dispatched_at=None,
    )


def extend(job: Job, fence: int, now: float, lease: float) -> Job | None:
    """The worker's heartbeat."""
    if not _held(job, fence):
        return None
    return replace(job, lease_until=now + lease)


def finish(job: Job, fence: int, state: State, error_code: str | None = None) -> Job | None:
    """The worker records the one outcome; a late or stale worker records nothing."""
    if not _held(job, fence) or state not in TERMINAL:
        return None
    return _end(job, state, error_code)


def release(job: Job, fence: int) -> Job | None:
    """A worker that shuts down as planned hands the job back; this is not charged."""
    if not _held(job, fence):
        return None
    if job.cancel_requested:
        return _end(job, State.CANCELLED)
    return _requeue(job)


def expire(job: Job, now: float, max_failures: int) -> Job | None:
    """The sweeper takes back a job whose worker went silent, and counts it."""
    if job.state is not State.RUNNING or job.lease_until is None or now <= job.lease_until:
        return None
    job = replace(job, failures=job.failures + 1)
    if job.cancel_requested:
        return _end(job, State.CANCELLED)
    if job.failures >= max_failures:
        return _end(job, State.FAILED, WORKER_LOST)
    return _requeue(job)


def pass_deadline(job: Job, now: float) -> Job | None:
    """The sweeper ends a job that is still queued at its deadline; a worker ends a running one."""
    if job.state is not State.QUEUED or now < job.deadline_at:
        return None
    return _end(job, State.FAILED, DEADLINE_EXCEEDED)


def cancel(job: Job) -> Job | None:
    """A client changes its mind: at once while queued, cooperatively while running."""
    if job.state is State.QUEUED:
        return _end(job, State.CANCELLED)
    if job.state is State.RUNNING and not job.cancel_requested:
        return replace(job, cancel_requested=True)
    return None


def _held(job: Job, fence: int) -> bool:
    return job.state is State.RUNNING and job.fence == fence


def _requeue(job: Job) -> Job:
    return replace(job, state=State.QUEUED, lease_until=None, dispatched_at=None)


def _end(job: Job, state: State, error_code: str | None = None) -> Job:
    return replace(job, state=state, lease_until=None, dispatched_at=None, error_code=error_code)
