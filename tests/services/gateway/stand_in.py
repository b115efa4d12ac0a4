"""A worker without a process: it moves one job on by SQL and events, as a real one does."""

from typing import Any

from services.gateway.context import Context
from shared.events import Event, outcome_event
from shared.jobs import store
from shared.jobs.machine import State
from shared.tables import Job


class StandIn:
    """Works for the gateway with this context; a job it starts has to be queued."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx

    def start(self, job_id: str) -> store.Claim:
        with self.ctx.sessions.begin() as session:
            assert store.announce(session, [job_id]) == [job_id]
            task = session.get_one(Job, job_id).task
            (claim,) = store.claim(session, task, 1, lease=30)
        assert claim.id == job_id
        self.ctx.events.publish([Event(job_id, "running", {"attempt": claim.fence})])
        return claim

    def report(self, job_id: str, fraction: float) -> None:
        self.ctx.events.publish([Event(job_id, "progress", {"fraction": fraction})])

    def tell(self, job_id: str, lines: list[dict[str, Any]]) -> None:
        self.ctx.events.publish([Event(job_id, "partial", {"lines": lines})])

    def finish(
        self,
        claim: store.Claim,
        result: dict[str, Any] | None = None,
        error_code: str | None = None,
        publish: bool = True,
    ) -> None:
        state = State.FAILED if error_code else State.SUCCEEDED
        with self.ctx.sessions.begin() as session:
            assert store.finish(session, claim, state, result, error_code, error_code)
        if publish:
            self.ctx.events.publish([outcome_event(claim.id, state, error_code, error_code)])

    def work(self, job_id: str, result: dict[str, Any] | None = None) -> None:
        self.finish(self.start(job_id), result or {"text": "done"})
