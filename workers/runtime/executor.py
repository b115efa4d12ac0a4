"""Claims a batch of jobs, runs the worker method on it, and records one outcome for each job."""

import signal
import time
from collections import ChainMap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import structlog
from pydantic import ValidationError
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from shared.blobs import Blobs
from shared.contract import Message, Task, list_sealed
from shared.db import Sessions
from shared.events import Event, Events, outcome_event
from shared.jobs import store
from shared.jobs.machine import DEADLINE_EXCEEDED, State
from shared.sealing import (
    Keyring,
    Tampered,
    WrongMasterKey,
    forget_fields,
    open_fields,
    seal_fields,
)
from shared.settings import Settings
from workers.runtime.heartbeat import Heartbeat
from workers.runtime.run import Cancelled, Effect, InvalidInput, JobError, Run, TooLarge, tidy

log = structlog.get_logger()

Method = Callable[[Sequence[Run[Any]]], Sequence[Message | JobError]]

PROGRESS_EVERY = 0.2  # seconds between progress events of one job; previews always go out
RECORD_FOR = 60.0  # seconds to try to record an outcome while the database is away


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


class Executor:
    """Everything a worker process does with the jobs of its queue."""

    def __init__(
        self,
        settings: Settings,
        sessions: Sessions,
        blobs: Blobs,
        events: Events,
        heartbeat: Heartbeat,
    ) -> None:
        self.settings, self.sessions, self.blobs = settings, sessions, blobs
        self.events, self.heartbeat = events, heartbeat
        self.keyring = Keyring(settings, sessions)

    def run_next(self, task: Task, method: Method) -> int:
        """Claim and finish a batch; how many jobs it had.

        A job that has lost a worker before is claimed alone, so it is followed by another claim.
        """
        done = 0
        while not self.heartbeat.stopping.is_set():
            with self.sessions.begin() as session:
                claims = store.claim(session, task.name, task.max_batch, self.settings.lease)
            self._run_claims(task, method, claims)
            done += len(claims)
            if not (claims and claims[0].failures):
                break
        return done

    def _run_claims(self, task: Task, method: Method, claims: list[store.Claim]) -> None:
        if not claims:
            return
        self.heartbeat.hold(claims)
        try:
            self.events.publish(
                [Event(claim.id, "running", {"attempt": claim.fence}) for claim in claims],
                room=task.name,
            )
            outcomes = self._predict_all(task, method, claims)
            self._record(claims, outcomes)
        finally:
            self.heartbeat.drop(claims)

    def _predict_all(
        self, task: Task, method: Method, claims: list[store.Claim]
    ) -> dict[str, Outcome]:
        outcomes: dict[str, Outcome] = {}
        runs: list[Run[Any]] = []
        for claim in claims:
            try:
                runs.append(self._make_run(task, claim))
            except ValidationError as error:
                detail = f"The request does not fit this version of {task.name}: {error}"
                outcomes[claim.id] = Outcome(State.FAILED, code="invalid_request", detail=detail)
            except (Tampered, WrongMasterKey) as error:
                log.error("request not opened", job=claim.id, error=str(error))
                detail = "What was encrypted in the request cannot be opened. Send it again."
                outcomes[claim.id] = Outcome(State.FAILED, code="invalid_request", detail=detail)
        outcomes |= self._predict(task, method, runs)
        for claim in claims:
            self._protect(task, claim, outcomes[claim.id])
        return outcomes

    def _protect(self, task: Task, claim: store.Claim, outcome: Outcome) -> None:
        """Forget what is sensitive in the request; encrypt it in the result."""
        if outcome.state is not None and (names := list_sealed(task.request)):
            outcome.request = {**claim.request, **dict.fromkeys(names)}
        if outcome.result is not None and (names := list_sealed(task.result)):
            key = self.keyring.key(claim.tenant)
            outcome.result = seal_fields(key, claim.id, outcome.result, names)

    def _predict(self, task: Task, method: Method, runs: list[Run[Any]]) -> dict[str, Outcome]:
        """Run the method; a batch that fails is halved until the job at fault is alone."""
        if not runs:
            return {}
        try:
            with self._time_limit(task.time_limit):
                answers = method(runs)
            return self._read_answers(task, runs, answers)
        except (Exception, TimeLimit) as error:  # noqa: BLE001  (the one place that may)
            if len(runs) == 1:
                return {
                    runs[0].job_id: self._explain(task.name, runs[0].job_id, error, task.time_limit)
                }
            log.info("batch split", task=task.name, size=len(runs), error=repr(error))
        half = len(runs) // 2
        for run in runs:
            run.effects.clear()
        first = self._predict(task, method, runs[:half])
        return first | self._predict(task, method, runs[half:])

    def _read_answers(
        self, task: Task, runs: list[Run[Any]], answers: Sequence[Message | JobError]
    ) -> dict[str, Outcome]:
        if len(answers) != len(runs):
            raise TypeError(f"{task.name} answered {len(answers)} of {len(runs)} jobs")
        outcomes = {}
        for run, answer in zip(runs, answers, strict=True):
            if isinstance(answer, JobError):
                outcomes[run.job_id] = self._explain(task.name, run.job_id, answer)
            elif isinstance(answer, task.result):
                result = answer.model_dump(mode="json")
                outcomes[run.job_id] = Outcome(State.SUCCEEDED, result, effects=run.effects)
            else:
                raise TypeError(f"{task.name} answered a {type(answer).__name__}")
        return outcomes

    def _explain(self, task: str, job_id: str, error: BaseException, limit: float = 0) -> Outcome:
        if isinstance(error, Cancelled):
            return self._explain_stop(job_id)
        if isinstance(error, JobError):
            return Outcome(State.FAILED, code=error.code, detail=str(error))
        if isinstance(error, TimeLimit):
            detail = f"The job ran longer than the {limit:g} s that {task} allows."
            return Outcome(State.FAILED, code="time_limit", detail=detail)
        if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
            detail = "The job needs more memory than the worker has. Send a smaller input."
            return Outcome(State.FAILED, code=TooLarge.code, detail=detail)
        log.error("job failed", job=job_id, task=task, exc_info=error)
        detail = f"The worker stopped on {type(error).__name__}; its log names this job's id."
        return Outcome(State.FAILED, code="worker_error", detail=detail)

    def _explain_stop(self, job_id: str) -> Outcome:
        order = self.heartbeat.order(job_id)
        if order == "cancel":
            return Outcome(State.CANCELLED)
        if order == "late":
            detail = "The job was still running at its deadline. Allow more time."
            return Outcome(State.FAILED, code=DEADLINE_EXCEEDED, detail=detail)
        return Outcome(None)

    def _record(self, claims: list[store.Claim], outcomes: dict[str, Outcome]) -> None:
        """Commit all outcomes with their effects; what is no longer held is discarded.

        An effect that raises fails its job alone: then each job gets a transaction of its own.
        """
        try:
            self._write(claims, outcomes)
        except OperationalError:
            raise
        except Exception as error:  # noqa: BLE001  (an effect may raise anything)
            if len(claims) > 1:
                for claim in claims:
                    self._record([claim], outcomes)
            else:
                (claim,) = claims
                failed = self._explain(claim.task, claim.id, error)
                failed.request = outcomes[claim.id].request
                self._write(claims, {claim.id: failed})

    def _write(self, claims: list[store.Claim], outcomes: dict[str, Outcome]) -> None:
        give_up_at = time.monotonic() + RECORD_FOR
        # In one order: batches that lock rows of the same tenants wait for each other less often.
        claims = sorted(claims, key=lambda claim: claim.tenant)
        while True:
            try:
                with self.sessions.begin() as session:
                    written = [_finish(session, claim, outcomes[claim.id]) for claim in claims]
                break
            except OperationalError as error:  # locked, or away: the outcome is worth waiting for
                if time.monotonic() > give_up_at:
                    raise
                log.warning("outcome not recorded yet", error=str(error.orig))
                time.sleep(0.2)
        self.events.publish(event for event in written if event)

    def _make_run(self, task: Task, claim: store.Claim) -> Run[Any]:
        sent_at = 0.0

        def report(progress: dict[str, Any]) -> None:
            nonlocal sent_at
            self.heartbeat.note_progress(claim.id, progress)
            kind = "preview" if progress.get("preview") else "progress"
            if kind == "preview" or time.monotonic() - sent_at >= PROGRESS_EVERY:
                sent_at = time.monotonic()
                self.events.publish([Event(claim.id, kind, progress)])

        def tell(lines: list[dict[str, Any]]) -> None:
            self.events.publish([Event(claim.id, "partial", {"lines": lines})])

        def read(blob_id: str) -> bytes:
            try:
                return self.blobs.read(claim.tenant, blob_id)
            except KeyError as error:
                raise InvalidInput(f"The file {blob_id} is gone. Upload it again.") from error

        def save(content: bytes) -> str:
            keep = claim.ttl + self.settings.max_deadline
            return self.blobs.add(claim.tenant, [content], keep, limit=2**32).id

        return Run(
            job_id=claim.id,
            tenant=claim.tenant,
            request=task.request.model_validate(self._open(task, claim)),
            read=read,
            save=save,
            report=report,
            tell=tell,
            stop_requested=lambda: self.heartbeat.order(claim.id) is not None,
            key_id=claim.key_id,
        )

    def _open(self, task: Task, claim: store.Claim) -> dict[str, Any]:
        names = list_sealed(task.request)
        if not any(claim.request.get(name) is not None for name in names):
            return claim.request
        return open_fields(self.keyring.key(claim.tenant), claim.id, claim.request, names)

    @contextmanager
    def _time_limit(self, seconds: float) -> Iterator[None]:
        """Raise TimeLimit in the main thread; code that cannot be interrupted costs the process."""

        def interrupt(_signal: int, _frame: FrameType | None) -> None:
            raise TimeLimit

        signal.signal(signal.SIGALRM, interrupt)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        self.heartbeat.call_ends = time.monotonic() + seconds
        try:
            try:
                yield
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)  # a signal just before this raises here
        finally:
            self.heartbeat.call_ends = None


def _finish(session: Session, claim: store.Claim, outcome: Outcome) -> Event | None:
    """Write one outcome; the event that tells of it, or None if the claim is no longer held."""
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
