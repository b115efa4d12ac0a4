"""POST /v1/<worker>/<task>: records a job in one transaction, and only then says 202."""

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from apiflask import APIBlueprint
from flask import Response, jsonify, request, url_for
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from services.gateway.auth import caller, requires
from services.gateway.context import context
from services.gateway.follow import read_wait, wait_for_end
from services.gateway.inputs import list_blobs, read_request
from services.gateway.problems import Problem
from services.gateway.views import PRIORITIES, JobView, PriorityName, is_finished, show_job
from shared.blobs import prolong
from shared.contract import Message, Task
from shared.db import db_now, insert_into
from shared.events import Event
from shared.identifiers import new_id
from shared.jobs.machine import State
from shared.settings import Settings
from shared.tables import IdempotencyKey, Job

KEY_PATTERN = re.compile(r"[!-~]{1,200}")  # visible ASCII
JOB_ID = re.compile(r"[0-9a-f]{32}")


class SubmitOptions(BaseModel):
    """What a client may say about a job apart from its request."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    priority: PriorityName = "normal"
    deadline: float | None = Field(None, gt=0, description="Seconds from now; late jobs fail.")
    ttl: float | None = Field(None, gt=0, description="Seconds to keep the result.")


@dataclass(frozen=True)
class Submission:
    """A checked request, ready to be recorded."""

    tenant: str
    task: Task
    message: Message
    priority: int
    deadline: float  # seconds from now
    ttl: float
    key: str | None

    @property
    def fingerprint(self) -> str:
        """The same for every submit that asks for the same thing."""
        asked = [self.task.name, self.message.model_dump(mode="json")]
        options = [self.priority, self.deadline, self.ttl]
        return hashlib.sha256(json.dumps([asked, options], sort_keys=True).encode()).hexdigest()


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
    @requires(f"{task.queue}:run")
    def submit(query_data: SubmitOptions) -> Response:
        return _submit(task, query_data)


def _submit(task: Task, options: SubmitOptions) -> Response:
    ctx, tenant = context(), caller().tenant
    ctx.admission.admit(tenant)
    deadline, ttl = _read_times(options, ctx.settings)
    submission = Submission(
        tenant=tenant,
        task=task,
        message=read_request(task, tenant, keep=deadline + ttl),
        priority=PRIORITIES.index(options.priority),
        deadline=deadline,
        ttl=ttl,
        key=_read_idempotency_key(),
    )
    job_id = new_id()
    seconds = read_wait(ctx.settings.max_wait)
    with ctx.hub.watch(job_id) as watcher:
        job, created = _record(submission, job_id)
        if created:
            ctx.events.publish([Event(job.id, "queued")], wake=task.name)
        if seconds and created:
            job = wait_for_end(job, watcher, seconds)
    if seconds and not created:
        with ctx.hub.watch(job.id) as watcher:
            job = wait_for_end(job, watcher, seconds)
    return _answer(job, seconds)


def _answer(job: Job, waited: float) -> Response:
    response = jsonify(show_job(job))
    response.status_code = 200 if waited and is_finished(job) else 202
    response.headers["Location"] = url_for("jobs.read", job_id=job.id)
    if waited:
        response.headers["Preference-Applied"] = f"wait={waited:g}"
    return response


def _record(submission: Submission, job_id: str) -> tuple[Job, bool]:
    """The job of this submission, and whether it is new."""
    with context().sessions.begin() as session:
        known = _claim_key(session, submission, job_id)
        if known is not None:
            return known, False
        blobs = {blob_id for _, _, blob_id in list_blobs(submission.task, submission.message)}
        if blobs:
            kept = prolong(session, submission.tenant, blobs, submission.deadline + submission.ttl)
            if kept != len(blobs):
                raise Problem(422, "unknown-blob", "A file expired just now. Upload it again.")
        return _insert(session, submission, job_id), True


def _claim_key(session: Session, submission: Submission, job_id: str) -> Job | None:
    """Take the idempotency key for this job; the earlier job if it is taken already."""
    if submission.key is None:
        return None
    taken = session.execute(
        insert_into(session, IdempotencyKey)
        .values(
            tenant=submission.tenant,
            key=submission.key,
            fingerprint=submission.fingerprint,
            job_id=job_id,
        )
        .on_conflict_do_nothing()
        .returning(IdempotencyKey.job_id)
    ).first()
    if taken:
        return None
    earlier = session.get_one(IdempotencyKey, (submission.tenant, submission.key))
    if earlier.fingerprint != submission.fingerprint:
        raise Problem(
            422,
            "idempotency-key-reused",
            "This Idempotency-Key was used for another request. Use a new key for a new request.",
        )
    return session.get_one(Job, earlier.job_id)


def _insert(session: Session, submission: Submission, job_id: str) -> Job:
    job: Job = session.execute(
        insert(Job)
        .values(
            id=job_id,
            tenant=submission.tenant,
            task=submission.task.name,
            state=State.QUEUED,
            priority=submission.priority,
            request=submission.message.model_dump(mode="json"),
            fence=0,
            failures=0,
            cancel_requested=False,
            created_at=db_now(),
            deadline_at=db_now() + submission.deadline,
            ttl=submission.ttl,
        )
        .returning(Job)
    ).scalar_one()
    return job


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
