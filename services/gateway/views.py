"""How jobs and files look to clients: the models of the API document, made from rows."""

from datetime import UTC, datetime
from typing import Any, Literal

import structlog
from pydantic import BaseModel, Field

from services.gateway.auth import caller
from services.gateway.context import context
from shared.contract import Task, list_sealed
from shared.events import TERMINAL_KINDS
from shared.sealing import Tampered, open_fields
from shared.tables import Job

log = structlog.get_logger()

PRIORITIES = ("high", "normal", "low")  # stored as 0, 1, 2

StateName = Literal["queued", "running", "succeeded", "failed", "cancelled"]
PriorityName = Literal["high", "normal", "low"]


class ErrorView(BaseModel):
    code: str
    detail: str


class JobView(BaseModel):
    """A job: one request to one worker."""

    id: str
    task: str
    state: StateName
    priority: PriorityName
    created_at: str
    started_at: str | None
    finished_at: str | None
    deadline_at: str
    expires_at: str | None
    failures: int = Field(description="Workers lost while they ran this job.")
    cancel_requested: bool
    position: int | None = Field(
        description="Jobs of this task ahead of it, while it waits; from GET /v1/jobs/ID only."
    )
    progress: dict[str, Any] | None
    result: dict[str, Any] | None
    error: ErrorView | None


class JobList(BaseModel):
    items: list[JobView]
    next: str | None = Field(description="Send it as `cursor` to get the next page.")


class BlobView(BaseModel):
    id: str = Field(description="The sha256 of the content.")
    size: int
    media_type: str


class TaskView(BaseModel):
    name: str
    path: str
    summary: str
    request: dict[str, Any]
    result: dict[str, Any]
    example: dict[str, Any]
    max_batch: int
    time_limit: float
    long: bool


class TaskList(BaseModel):
    items: list[TaskView]


class ReadinessView(BaseModel):
    status: Literal["ready", "degraded", "unavailable"]
    checks: dict[str, str] = Field(description="`ok`, or the name of an error.")
    workers: dict[str, int] = Field(description="Live processes of each worker.")


def show_job(job: Job, position: int | None = None) -> dict[str, Any]:
    error = {"code": job.error_code, "detail": job.error_detail or ""} if job.error_code else None
    return {
        "id": job.id,
        "task": job.task,
        "state": job.state,
        "priority": PRIORITIES[job.priority],
        "created_at": show_time(job.created_at),
        "started_at": show_time(job.started_at),
        "finished_at": show_time(job.finished_at),
        "deadline_at": show_time(job.deadline_at),
        "expires_at": show_time(job.expires_at),
        "failures": job.failures,
        "cancel_requested": job.cancel_requested,
        "position": position,
        "progress": job.progress,
        "result": _open_result(job),
        "error": error,
    }


def _open_result(job: Job) -> dict[str, Any] | None:
    """What the worker answered, with its encrypted fields in clear for their owner."""
    ctx = context()
    task = ctx.tasks.get(job.task)
    if task and not _may_read(job, task):
        return None
    names = list_sealed(task.result) if task else []
    if not names or job.result is None:
        return job.result
    try:
        return open_fields(ctx.keyring.key(job.tenant), job.id, job.result, names)
    except Tampered as error:  # one damaged row must not hide the tenant's other jobs
        log.error("result not opened", job=job.id, error=str(error))
        return {**job.result, **dict.fromkeys(names)}


def _may_read(job: Job, task: Task) -> bool:
    """Whether the key could have asked for this itself, or did: some results need more scopes."""
    asked = [scope for field, scope, default in task.needs() if job.request.get(field) != default]
    needed = [task.scope, *asked] if task.scope else asked
    return job.key_id == caller().key_id or all(map(caller().may, needed))


def show_time(seconds: float | None) -> str | None:
    """Seconds since 1970 as ISO 8601 in UTC, to the millisecond."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def is_finished(job: Job) -> bool:
    return job.state in TERMINAL_KINDS
