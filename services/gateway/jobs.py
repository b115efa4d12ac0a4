"""Read, list, follow and cancel jobs."""

import re
from collections.abc import Iterator
from typing import Any

from apiflask import APIBlueprint
from flask import Response, jsonify, request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from services.gateway.auth import caller, requires
from services.gateway.context import context
from services.gateway.follow import EventStream, read_wait, wait_for_end
from services.gateway.openapi import answers
from services.gateway.problems import Problem
from services.gateway.submit import find_job
from services.gateway.views import JobList, JobView, StateName, show_job
from shared.events import Event
from shared.jobs import store
from shared.jobs.machine import State
from shared.sealing import forget_fields
from shared.tables import QUEUED, Job

EVENT_ID = re.compile(r"\d{1,20}-\d{1,20}")


class JobFilter(BaseModel):
    model_config = ConfigDict(extra="forbid")

    state: StateName | None = None
    task: str | None = Field(None, max_length=100, pattern=r"^[!-~]*$")
    limit: int = Field(50, ge=1, le=200)
    cursor: str | None = Field(None, pattern=r"^[0-9a-f]{32}$")


def make_blueprint() -> APIBlueprint:
    bp = APIBlueprint("jobs", __name__, url_prefix="/v1/jobs", tag="Jobs")

    @bp.get("")
    @bp.doc(operation_id="list_jobs")
    @bp.input(JobFilter, location="query")
    @bp.output(JobList)
    @requires("jobs:read")
    def list_all(query_data: JobFilter) -> Response:
        """Your jobs, newest first."""
        return jsonify(_list(caller().tenant, query_data))

    @bp.get("/<job_id>")
    @bp.doc(operation_id="read_job")
    @bp.output(JobView)
    @requires("jobs:read")
    def read(job_id: str) -> Response:
        """One job, with its result once it has one; `Prefer: wait=N` waits for its end."""
        ctx = context()
        with ctx.hub.watch(job_id, end_only=True) as watcher:
            with ctx.sessions.read() as session:
                job = find_job(session, caller().tenant, job_id)
            job = wait_for_end(job, watcher, read_wait(ctx.settings.max_wait))
        with ctx.sessions.read() as session:
            return jsonify(show_job(job, _position(session, job)))

    @bp.post("/<job_id>/cancel")
    @bp.doc(operation_id="cancel_job")
    @bp.output(JobView)
    @requires("jobs:cancel")
    def cancel(job_id: str) -> Response:
        """Cancel a job: at once while it waits, as soon as its worker notices while it runs."""
        return jsonify(_cancel(caller().tenant, job_id))

    @bp.get("/<job_id>/events")
    @bp.doc(
        operation_id="follow_job",
        responses=answers("Events", "text/event-stream"),
    )
    @requires("jobs:read")
    def follow(job_id: str) -> Response:
        """The job's events as they happen (server-sent events), resumed by Last-Event-ID."""
        ctx = context()
        with ctx.sessions.read() as session:
            find_job(session, caller().tenant, job_id)
        if not ctx.slots.acquire(blocking=False):
            raise Problem(
                503,
                "too-many-streams",
                f"{ctx.settings.max_streams} requests wait for jobs already. Poll GET /v1/jobs/ID.",
                headers={"Retry-After": "5"},
            )
        response = Response(
            _deferred(EventStream(ctx, job_id, _read_last_id())),
            mimetype="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )
        # Not in the generator: a HEAD, or a client that leaves at once, never starts it.
        response.call_on_close(ctx.slots.release)
        return response

    return bp


def _deferred(stream: EventStream) -> Iterator[str]:
    yield ": following\n\n"  # headers go out at once, also when there is no event yet
    yield from stream


def _list(tenant: str, wanted: JobFilter) -> dict[str, Any]:
    query = select(Job).where(Job.tenant == tenant).order_by(Job.id.desc())
    if wanted.state:
        query = query.where(Job.state == wanted.state)
    if wanted.task:
        query = query.where(Job.task == wanted.task)
    if wanted.cursor:
        query = query.where(Job.id < wanted.cursor)
    with context().sessions.read() as session:
        jobs = session.scalars(query.limit(wanted.limit + 1)).all()
    page = jobs[: wanted.limit]
    more = len(jobs) > len(page)
    return {"items": [show_job(job) for job in page], "next": page[-1].id if more else None}


def _cancel(tenant: str, job_id: str) -> dict[str, Any]:
    ctx = context()
    with ctx.sessions.begin() as session:
        job = find_job(session, tenant, job_id)
        ended = store.cancel(session, tenant, job_id)
        forget_fields(session, [job_id])
        session.refresh(job)
    if ended and ended.state is State.CANCELLED:
        ctx.events.publish([Event(job_id, "cancelled")])
    return show_job(job)


def _position(session: Session, job: Job) -> int | None:
    if job.state != State.QUEUED:
        return None
    ahead = select(func.count()).where(QUEUED, Job.task == job.task, Job.id < job.id)
    return session.scalar(ahead.select_from(Job))


def _read_last_id() -> str:
    """The event to go on after; "" to begin anew, also after an id that Redis would refuse."""
    last = request.headers.get("Last-Event-ID", "")
    if not EVENT_ID.fullmatch(last):
        return ""
    return last if all(int(part) < 2**63 for part in last.split("-")) else ""
