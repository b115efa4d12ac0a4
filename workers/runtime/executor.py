"""Claims a batch of jobs, runs the worker method on it, and records one outcome for each job."""

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

import structlog
from pydantic import ValidationError
from sqlalchemy.exc import OperationalError

from shared.blobs import Blobs
from shared.contract import Message, Task, list_sealed
from shared.db import Sessions
from shared.events import Event, Events
from shared.jobs import store
from shared.jobs.machine import State
from shared.sealing import (
    Keyring,
    Tampered,
    WrongMasterKey,
    open_fields,
    seal_fields,
)
from shared.settings import Settings
from workers.runtime.heartbeat import Heartbeat
from workers.runtime.outcomes import Outcome, TimeLimit, explain, read_answer, write_outcome
from workers.runtime.run import Cancelled, InvalidInput, JobError, Run, Settled

log = structlog.get_logger()

Method = Callable[[Sequence[Run[Any]]], Sequence[Message | JobError | Settled]]

PROGRESS_EVERY = 0.2  # seconds between progress events of one job; previews always go out
RECORD_FOR = 60.0  # seconds to try to record an outcome while the database is away


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

    def run_next(self, task: Task, method: Method, most: int) -> int:
        """Claim and finish a batch of at most `most` jobs; how many it had.

        A job that has lost a worker before is claimed alone, so it is followed by another claim.
        """
        done = 0
        while not self.heartbeat.stopping.is_set():
            with self.sessions.begin() as session:
                claims = store.claim(session, task.name, most, self.settings.lease)
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
            self._record(task, [claim for claim in claims if claim.id in outcomes], outcomes)
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
            if claim.id in outcomes:  # the others are settled
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
        runs = [run for run in runs if self.heartbeat.holds(run.job_id)]
        if not runs:
            return {}
        try:
            with self._time_limit(task.time_limit):
                answers = method(runs)
            return self._read_answers(task, runs, answers)
        except (Exception, TimeLimit) as error:  # noqa: BLE001  (the one place that may)
            if len(runs) == 1:
                [run] = runs
                order = self.heartbeat.order(run.job_id)
                return {run.job_id: explain(task, run.job_id, error, order, run.kept)}
            log.info("batch split", task=task.name, size=len(runs), error=repr(error))
        half = len(runs) // 2
        for run in runs:
            run.effects.clear()
        first = self._predict(task, method, runs[:half])
        return first | self._predict(task, method, runs[half:])

    def _read_answers(
        self, task: Task, runs: list[Run[Any]], answers: Sequence[Message | JobError | Settled]
    ) -> dict[str, Outcome]:
        if len(answers) != len(runs):
            raise TypeError(f"{task.name} answered {len(answers)} of {len(runs)} jobs")
        open_ended = [
            run.job_id
            for run, answer in zip(runs, answers, strict=True)
            if isinstance(answer, Settled) and self.heartbeat.holds(run.job_id)
        ]
        if open_ended:
            raise TypeError(f"{task.name} has not settled {', '.join(open_ended)}")
        return {
            run.job_id: read_answer(task, run, answer, self.heartbeat.order(run.job_id))
            for run, answer in zip(runs, answers, strict=True)
            if not isinstance(answer, Settled)
        }

    def _settle(
        self, task: Task, claim: store.Claim, run: Run[Any], answer: Message | JobError | Cancelled
    ) -> None:
        """Record one job of a batch while the others go on; from then on it is not held."""
        outcome = read_answer(task, run, answer, self.heartbeat.order(claim.id))
        self._protect(task, claim, outcome)
        self._record(task, [claim], {claim.id: outcome})
        self.heartbeat.drop([claim])

    def _record(self, task: Task, claims: list[store.Claim], outcomes: dict[str, Outcome]) -> None:
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
                    self._record(task, [claim], outcomes)
            else:
                (claim,) = claims
                failed = explain(task, claim.id, error)
                failed.request = outcomes[claim.id].request
                self._write(claims, {claim.id: failed})

    def _write(self, claims: list[store.Claim], outcomes: dict[str, Outcome]) -> None:
        give_up_at = time.monotonic() + RECORD_FOR
        # In one order: batches that lock rows of the same tenants wait for each other less often.
        claims = sorted(claims, key=lambda claim: claim.tenant)
        while True:
            try:
                with self.sessions.begin() as session:
                    written = [
                        write_outcome(session, claim, outcomes[claim.id]) for claim in claims
                    ]
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

        run: Run[Any] = Run(
            job_id=claim.id,
            tenant=claim.tenant,
            request=task.request.model_validate(self._open(task, claim)),
            read=read,
            save=save,
            report=report,
            tell=tell,
            stop_requested=lambda: self.heartbeat.order(claim.id) is not None,
            settle=lambda answer: self._settle(task, claim, run, answer),
            key_id=claim.key_id,
        )
        return run

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
