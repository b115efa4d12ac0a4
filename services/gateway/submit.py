"""POST /v1/<worker>/<task>: records a job in one transaction, and only then says 202."""

import re
from typing import Any

from apiflask import APIBlueprint
from flask import Response, jsonify, request, url_for
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.gateway.auth import caller, requires, scope_missing
from services.gateway.context import context
from services.gateway.follow import read_wait, wait_for_end
from services.gateway.inputs import read_request
from services.gateway.problems import Problem
from services.gateway.record import Submission
from services.gateway.views import PRIORITIES, JobView, PriorityName, is_finished, show_job
from shared.blobs import Upload
from shared.contract import Message, Task
from shared.events import Event
from shared.identifiers import new_id
from shared.settings import Settings
from shared.tables import Job

KEY_PATTERN = re.compile(r"[!-~]{1,200}")  # visible ASCII
JOB_ID = re.compile(r"[0-9a-f]{32}")


class SubmitOptions(BaseModel):
    """What a client may say about a job apart from its request."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    priority: PriorityName = "normal"
    deadline: float | None = Field(None, gt=0, description="Seconds from now; late jobs fail.")
    ttl: float | None = Field(None, gt=0, description="Seconds to keep the result.")


def make_blueprint(tasks: dict[str, Task]) -> APIBlueprint:
    bp = APIBlueprint("tasks", __name__, tag="Tasks")
    for task in tasks.values():
        _add_route(bp, task)
    return bp


def _add_route(bp: APIBlueprint, task: Task) -> None:
    @bp.post(task.path, endpoint=task.name.replace(".", "_"))
    @bp.doc(summary=task.summary, operation_id=task.name.replace(".", "_"))
    @bp.input(SubmitOptions, location="query")
    @bp.output(JobView, status_code=202, description="Recorded: it will have one outcome.")
    @requires(task.needed_scope)
    def submit(query_data: SubmitOptions) -> Response:
        return _submit(task, query_data)


def _submit(task: Task, options: SubmitOptions) -> Response:
    ctx = context()
    key = _read_idempotency_key()
    if not ctx.admission.admits(caller().tenant) and not ctx.recorder.knows(caller().tenant, key):
        raise ctx.admission.refusal(caller().tenant)
    uploads: list[Upload] = []
    try:
        submission = _read_submission(task, options, key, uploads)
    except Exception:  # refused: nothing will name these bytes
        ctx.blobs.discard([upload.object_name for upload in uploads])
        raise
    seconds = read_wait(ctx.settings.max_wait)
    with ctx.hub.watch(submission.job_id, end_only=True) as watcher:
        recorded = ctx.recorder.record(submission)
        if recorded.created:
            ctx.events.publish([Event(submission.job_id, "queued")], new_jobs=task.name)
            return _answer(wait_for_end(recorded.job, watcher, seconds), seconds)
    with ctx.hub.watch(recorded.job.id, end_only=True) as watcher:
        return _answer(wait_for_end(recorded.job, watcher, seconds), seconds)


def _read_submission(
    task: Task, options: SubmitOptions, key: str | None, uploads: list[Upload]
) -> Submission:
    tenant = caller().tenant
    deadline, ttl = _read_times(options, context().settings)
    return Submission(
        job_id=new_id(),
        tenant=tenant,
        task=task,
        key=key,
        message=_check_fields(task, read_request(task, tenant, uploads)),
        priority=PRIORITIES.index(options.priority),
        deadline=deadline,
        ttl=ttl,
        uploads=uploads,
        key_id=caller().key_id,
    )


def _check_fields(task: Task, message: Message) -> Message:
    """Raises Problem if the key lacks the scope of a field that the request sets."""
    for field, scope, default in task.needs():
        if getattr(message, field) != default and not caller().may(scope):
            raise scope_missing(scope, f"{field}: ")
    return message


def _answer(job: Job, waited: float) -> Response:
    response = jsonify(show_job(job))
    response.status_code = 200 if waited and is_finished(job) else 202
    response.headers["Location"] = url_for("jobs.read", job_id=job.id)
    if waited:
        response.headers["Preference-Applied"] = f"wait={waited:g}"
    return response


def _read_times(options: SubmitOptions, settings: Settings) -> tuple[float, float]:
    """(deadline, ttl) in seconds, within what the server allows."""
    deadline = options.deadline or settings.deadline
    if deadline > settings.max_deadline:
        raise Problem(
            422, "invalid-request", f"deadline: at most {settings.max_deadline:g} seconds."
        )
    return deadline, min(options.ttl or settings.result_ttl, settings.result_ttl)


def _read_idempotency_key() -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not KEY_PATTERN.fullmatch(key):
        raise Problem(
            422, "invalid-request", "Idempotency-Key: 1 to 200 visible ASCII characters, please."
        )
    return key


def find_job(session: Session, tenant: str, job_id: str) -> Any:
    """The tenant's job. Raises Problem 404, the same for another tenant's job as for none."""
    job = None
    if JOB_ID.fullmatch(job_id):  # PostgreSQL refuses some texts, such as a NUL
        job = session.scalar(select(Job).where(Job.id == job_id, Job.tenant == tenant))
    if job is None:
        raise Problem(404, "unknown-job", "There is no such job, or it has expired.")
    return job
