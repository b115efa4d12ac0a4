"""How a job ended, and the one transaction that says so."""

from collections import ChainMap
from dataclasses import dataclass, field
from typing import Any

import structlog
from sqlalchemy.orm import Session

from shared.contract import Message, Task
from shared.events import Event, outcome_event
from shared.jobs import store
from shared.jobs.machine import DEADLINE_EXCEEDED, State
from shared.sealing import forget_fields
from workers.runtime.run import Cancelled, Effect, JobError, Run, TooLarge, tidy

log = structlog.get_logger()


class TimeLimit(BaseException):
    """Raised in a worker method that takes too long; not an Exception, so it is not swallowed."""


@dataclass
class Outcome:
    """How a job ended; state None means: hand it back, or nothing, if the claim is lost."""

    state: State | None
    result: dict[str, Any] | None = None
    code: str | None = None
    detail: str | None = None
    effects: list[Effect] = field(default_factory=list)
    request: dict[str, Any] | None = None  # what is kept of it, if not all


def read_answer(
    task: Task, run: Run[Any], answer: Message | JobError | Cancelled, order: str | None
) -> Outcome:
    """What a worker method answered for one job. Raises TypeError if that is no answer to it."""
    if isinstance(answer, JobError | Cancelled):
        return explain(task, run.job_id, answer, order, run.kept)
    if not isinstance(answer, task.result):
        raise TypeError(f"{task.name} answered a {type(answer).__name__}")
    return Outcome(State.SUCCEEDED, answer.model_dump(mode="json"), effects=run.effects)


def explain(
    task: Task,
    job_id: str,
    error: BaseException,
    order: str | None = None,
    kept: Message | None = None,
) -> Outcome:
    """Why a job did not succeed; `order`: what its worker was told of it last."""
    if isinstance(error, Cancelled):
        return _explain_stop(order, kept)
    if isinstance(error, JobError):
        return Outcome(State.FAILED, code=error.code, detail=str(error))
    if isinstance(error, TimeLimit):
        detail = f"The job ran longer than the {task.time_limit:g} s that {task.name} allows."
        return Outcome(State.FAILED, code="time_limit", detail=detail)
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        detail = "The job needs more memory than the worker has. Send a smaller input."
        return Outcome(State.FAILED, code=TooLarge.code, detail=detail)
    log.error("job failed", job=job_id, task=task.name, exc_info=error)
    detail = f"The worker stopped on {type(error).__name__}; its log names this job's id."
    return Outcome(State.FAILED, code="worker_error", detail=detail)


def _explain_stop(order: str | None, kept: Message | None) -> Outcome:
    if order == "cancel":
        return Outcome(State.CANCELLED, None if kept is None else kept.model_dump(mode="json"))
    if order == "late":
        detail = "The job was still running at its deadline. Allow more time."
        return Outcome(State.FAILED, code=DEADLINE_EXCEEDED, detail=detail)
    return Outcome(None)


def write_outcome(session: Session, claim: store.Claim, outcome: Outcome) -> Event | None:
    """The event that tells of it, or None if the claim is no longer held."""
    state, code, detail = outcome.state, outcome.code, tidy(outcome.detail)
    if state is None:
        released = store.release(session, claim)
        forget_fields(session, [claim.id])  # if it was to be cancelled, it has ended
        return Event(claim.id, "queued", {"reason": "worker stopped"}) if released else None
    if not store.finish(session, claim, state, outcome.result, code, detail, outcome.request):
        log.warning("late outcome discarded", job=claim.id)
        return None
    added = [fields for effect in outcome.effects if (fields := effect(session))]
    if added:
        store.replace_result(session, claim, {**(outcome.result or {}), **ChainMap(*added)})
    return outcome_event(claim.id, state, code, detail)
