"""The SQL of a job's life: every step of shared/jobs/machine.py as one conditional UPDATE.

READ COMMITTED is enough, because each step checks its own precondition in its WHERE clause.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    Table,
    Update,
    and_,
    bindparam,
    case,
    func,
    null,
    select,
    true,
    update,
)
from sqlalchemy.orm import Session

from shared.db import db_now
from shared.jobs.machine import DEADLINE_EXCEEDED, WORKER_LOST, State
from shared.tables import ANNOUNCED, QUEUED, RUNNING, WAITING, Job

LOST_DETAIL = "The worker died or fell silent each time it ran this job."
LATE_DETAIL = "The job was still waiting at its deadline. Allow more time or submit fewer jobs."


@dataclass(frozen=True)
class Claim:
    """What a worker needs to run a job, and the fence that lets it write the outcome."""

    id: str
    tenant: str
    task: str
    request: dict[str, Any]
    fence: int
    failures: int
    deadline_at: float
    ttl: float
    key_id: int | None = None


@dataclass(frozen=True)
class Ended:
    """A job that the sweeper or a cancel moved on, for the event that tells of it."""

    id: str
    state: State
    error_code: str | None = None
    error_detail: str | None = None


def _make_claim(suspect: bool) -> Update:
    picked = (
        select(Job.id)
        .where(READY, Job.failures > 0 if suspect else Job.failures == 0)
        .order_by(*ORDER)
        .limit(bindparam("size"))
        .with_for_update(skip_locked=True)
        .cte("picked")
    )
    return (
        update(JOBS)
        .where(JOBS.c.id.in_(select(picked.c.id)), ANNOUNCED)
        .values(
            state=State.RUNNING,
            fence=JOBS.c.fence + 1,
            lease_until=db_now() + bindparam("lease"),
            dispatched_at=null(),
            started_at=db_now(),
        )
        .returning(*(JOBS.c[field] for field in Claim.__dataclass_fields__))
    )


# Built once: making a statement costs more than running it.
JOBS = cast(Table, Job.__table__)
READY = and_(ANNOUNCED, Job.task == bindparam("wanted"), Job.deadline_at > db_now())
ORDER = (Job.priority, Job.dispatched_at)
FIRST_READY = select(Job.failures).where(READY).order_by(*ORDER).limit(1)
CLAIM = {suspect: _make_claim(suspect) for suspect in (False, True)}
FINISH = (
    update(JOBS)
    .where(JOBS.c.id == bindparam("job"), JOBS.c.fence == bindparam("held"), RUNNING)
    .values(
        state=bindparam("new_state"),
        result=bindparam("new_result", type_=JOBS.c.result.type),
        request=func.coalesce(bindparam("new_request", type_=JOBS.c.result.type), JOBS.c.request),
        error_code=bindparam("code"),
        error_detail=bindparam("detail"),
        lease_until=null(),
        finished_at=db_now(),
        expires_at=db_now() + JOBS.c.ttl,
    )
    .returning(JOBS.c.id)
)


def announce(session: Session, ids: Sequence[str]) -> list[str]:
    """Mark waiting jobs as sent to the broker; the ids that were still waiting, in order.

    `dispatched_at` rises along `ids`, so workers claim in the order that the relay chose.
    """
    if not ids:
        return []
    ranks = {job_id: index * 1e-6 for index, job_id in enumerate(ids)}
    rank = case(ranks, value=Job.id, else_=0.0)
    marked = session.execute(
        update(Job)
        .where(_unlocked(and_(WAITING, Job.id.in_(ids))))
        .values(dispatched_at=db_now() + rank)
        .returning(Job.id)
    )
    return sorted(marked.scalars(), key=ranks.__getitem__)


def forget_announcements(session: Session) -> None:
    """The broker lost its data: every queued job must be announced again."""
    session.execute(update(Job).where(ANNOUNCED).values(dispatched_at=null()))


def claim(session: Session, task: str, limit: int, lease: float) -> list[Claim]:
    """Take up to `limit` announced jobs of one task.

    A job that has lost a worker before is taken alone: if it kills the process again, no other
    job is charged for it.
    """
    failures = session.scalar(FIRST_READY, {"wanted": task})
    if failures is None:
        return []
    suspect = failures > 0
    size = 1 if suspect else limit
    rows = session.execute(CLAIM[suspect], {"wanted": task, "size": size, "lease": lease})
    return sorted((Claim(*row) for row in rows), key=lambda claim: claim.id)


def extend(
    session: Session, fences: Mapping[str, int], lease: float, progress: Mapping[str, Any]
) -> None:
    """Keep the jobs that are still held, and record how far they are."""
    if not fences:
        return
    step = bindparam("step", type_=JOBS.c.progress.type)
    rows = [
        {"job": job_id, "held": fence, "step": progress.get(job_id)}
        for job_id, fence in sorted(fences.items())
    ]
    session.connection().execute(
        update(JOBS)
        .where(JOBS.c.id == bindparam("job"), JOBS.c.fence == bindparam("held"), RUNNING)
        .values(lease_until=db_now() + lease, progress=func.coalesce(step, JOBS.c.progress)),
        rows,
    )


def read_orders(session: Session, fences: Mapping[str, int]) -> dict[str, str | None]:
    """What a worker should do with each job it runs: None (go on), 'cancel', 'late' or 'lost'."""
    rows = session.execute(
        select(
            Job.id,
            Job.fence,
            Job.state,
            Job.cancel_requested,
            (Job.deadline_at <= db_now()).label("late"),
        ).where(Job.id.in_(fences))
    )
    orders: dict[str, str | None] = dict.fromkeys(fences, "lost")
    for row in rows:
        if row.state == State.RUNNING and row.fence == fences[row.id]:
            orders[row.id] = "cancel" if row.cancel_requested else "late" if row.late else None
    return orders


def finish(
    session: Session,
    claim: Claim,
    state: State,
    result: dict[str, Any] | None = None,
    error_code: str | None = None,
    error_detail: str | None = None,
    request: dict[str, Any] | None = None,
) -> bool:
    """Record the outcome; False, with nothing written, if the claim is no longer held.

    `request` replaces what was asked, where a part of it must not be kept.
    """
    written = session.execute(
        FINISH,
        {
            "job": claim.id,
            "held": claim.fence,
            "new_state": state,
            "new_result": result,
            "new_request": request,
            "code": error_code,
            "detail": error_detail,
        },
    )
    return written.first() is not None


def replace_result(session: Session, claim: Claim, result: dict[str, Any]) -> None:
    session.execute(update(Job).where(Job.id == claim.id).values(result=result))  # it is ours


def release(session: Session, claim: Claim) -> bool:
    """Hand a claim back uncharged; False if it is no longer held."""
    held = and_(Job.id == claim.id, RUNNING, Job.fence == claim.fence)
    return _change(
        session, and_(held, Job.cancel_requested), state=State.CANCELLED, **_ended()
    ) or _change(session, held, state=State.QUEUED, lease_until=null(), dispatched_at=null())


def expire(session: Session, max_failures: int) -> list[Ended]:
    """Take back every job whose lease ran out: requeued, cancelled, or failed for good."""
    late = _unlocked(and_(RUNNING, Job.lease_until < db_now()))
    failed = and_(late, ~Job.cancel_requested, Job.failures + 1 >= max_failures)
    counted = {"failures": Job.failures + 1}
    lost = {"error_code": WORKER_LOST, "error_detail": LOST_DETAIL}
    return [
        *_end_all(session, and_(late, Job.cancel_requested), State.CANCELLED, counted),
        *_end_all(session, failed, State.FAILED, {**counted, **lost}),
        *_requeue_all(session, late, counted),
    ]


def pass_deadline(session: Session) -> list[Ended]:
    """Fail every job that is still queued at its deadline."""
    reason = {"error_code": DEADLINE_EXCEEDED, "error_detail": LATE_DETAIL}
    late = _unlocked(and_(QUEUED, Job.deadline_at <= db_now()))
    return _end_all(session, late, State.FAILED, reason)


def cancel(session: Session, tenant: str, job_id: str) -> Ended | None:
    """Cancel a queued job, or ask the worker of a running one to stop; None if neither."""
    mine = and_(Job.tenant == tenant, Job.id == job_id)
    ended = _end_all(session, and_(mine, QUEUED), State.CANCELLED, {})
    if ended:
        return ended[0]
    asked = _change(session, and_(mine, RUNNING, ~Job.cancel_requested), cancel_requested=true())
    return Ended(job_id, State.RUNNING) if asked else None


def _ended() -> dict[str, Any]:
    return {
        "lease_until": null(),
        "dispatched_at": null(),
        "finished_at": db_now(),
        "expires_at": db_now() + Job.ttl,
    }


def _unlocked(where: ColumnElement[bool]) -> ColumnElement[bool]:
    """Rows that nobody else is changing; the others are left for the next time.

    A change of many rows locks them in no certain order: waiting for locks could be a deadlock.
    """
    return Job.id.in_(select(Job.id).where(where).with_for_update(skip_locked=True))


def _change(session: Session, where: ColumnElement[bool], **values: Any) -> bool:
    changed = session.execute(
        update(Job)
        .where(where)
        .values(**values)
        .returning(Job.id)
        .execution_options(synchronize_session=False)
    )
    return changed.first() is not None


def _end_all(
    session: Session, where: ColumnElement[bool], state: State, values: dict[str, Any]
) -> list[Ended]:
    return _move_all(session, where, {"state": state, **_ended(), **values})


def _requeue_all(
    session: Session, where: ColumnElement[bool], values: dict[str, Any]
) -> list[Ended]:
    queued = {"state": State.QUEUED, "lease_until": null(), "dispatched_at": null()}
    return _move_all(session, where, {**queued, **values})


def _move_all(
    session: Session, where: ColumnElement[bool], values: Mapping[str, Any]
) -> list[Ended]:
    moved = session.execute(
        update(Job)
        .where(where)
        .values(**values)
        .returning(Job.id, Job.state, Job.error_code, Job.error_detail)
        .execution_options(synchronize_session=False)
    )
    return [Ended(row.id, State(row.state), row.error_code, row.error_detail) for row in moved]
