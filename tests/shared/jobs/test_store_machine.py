"""The SQL of every step does what the pure machine does, on both databases.

The database's clock cannot be set, so time passes the other way round: every time in the table
moves into the past. Leases end at odd hundreds and the clock stands on even ones, so the real
seconds that a run takes never decide a comparison.
"""

import random
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select, update

from shared.db import Sessions, db_now
from shared.jobs import machine, store
from shared.jobs.machine import TERMINAL, State
from shared.tables import Job
from tests.rows import make_job

TICK = 200.0
LEASE = 300.0
MAX_FAILURES = 2
TASKS = ("detect.objects", "text.words")


@dataclass
class Twin:
    """A row as the pure machine sees it, with what only the row knows."""

    task: str
    priority: int
    tenant: str
    job: machine.Job
    progress: dict[str, Any] | None = None


class StoreAndMachine:
    """A table and its twins; every public method but `compare` is one step of both."""

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions
        self.now = 0.0
        self.twins: dict[str, Twin] = {}
        self.claims: list[store.Claim] = []  # kept for ever, so old ones are a zombie's
        with sessions.begin() as session:
            session.execute(delete(Job))

    # Clients

    def submit(self, jobs: list[dict[str, Any]]) -> None:
        with self.sessions.begin() as session:
            now = session.scalar(select(db_now()))
            rows = [
                # The id is no random one, so that the run can be repeated.
                make_job(
                    **{**job, "deadline_at": now + job["deadline_at"]},
                    id=f"{len(self.twins) + index:032}",
                )
                for index, job in enumerate(jobs)
            ]
            session.add_all(rows)
        for row, job in zip(rows, jobs, strict=True):
            pure = machine.Job(deadline_at=self.now + job["deadline_at"])
            self.twins[row.id] = Twin(row.task, row.priority, row.tenant, pure)

    def cancel(self, pick: int, tenant: str) -> None:
        job_id = sorted(self.twins)[-1 - pick % len(self.twins)]
        with self.sessions.begin() as session:
            ended = store.cancel(session, tenant, job_id)
        mine = self.twins[job_id].tenant == tenant
        after = machine.cancel(self.twins[job_id].job) if mine else None
        assert (ended and (ended.id, ended.state)) == (after and (job_id, after.state))
        self._move(job_id, after)

    # The relay

    def wait(self, ticks: int) -> None:
        self.now += ticks * TICK
        with self.sessions.begin() as session:
            past = {
                column: getattr(Job, column) - ticks * TICK
                for column in ("deadline_at", "lease_until", "dispatched_at")
            }
            session.execute(update(Job).values(**past))

    def announce(self, seed: int) -> None:
        self.wait(1)  # so that no two announcements fall into one millisecond
        ids = random.Random(seed).sample(sorted(self.twins), k=len(self.twins))
        with self.sessions.begin() as session:
            announced = store.announce(session, ids)
        expected = []
        for rank, job_id in enumerate(ids):
            after = machine.announce(self.twins[job_id].job, self.now + rank * 1e-3)
            self._move(job_id, after)
            expected += [job_id] if after else []
        assert announced == expected

    def wipe_broker(self) -> None:
        with self.sessions.begin() as session:
            store.forget_announcements(session)
        for job_id, twin in self.twins.items():
            self._move(job_id, machine.forget_announcement(twin.job))

    def expire(self) -> None:
        with self.sessions.begin() as session:
            ended = store.expire(session, MAX_FAILURES)
        self._compare_ended(ended, lambda job: machine.expire(job, self.now, MAX_FAILURES))

    def lose_all_workers(self, seed: int) -> None:
        """A power cut: nobody beats until every lease has run out."""
        self.wait(2)
        self.expire()
        self.announce(seed)

    def pass_deadlines(self) -> None:
        with self.sessions.begin() as session:
            ended = store.pass_deadline(session)
        self._compare_ended(ended, lambda job: machine.pass_deadline(job, self.now))

    # Workers

    def claim(self, task: str, limit: int) -> None:
        with self.sessions.begin() as session:
            claims = store.claim(session, task, limit, LEASE)
        ready = [
            (twin.priority, twin.job.dispatched_at, job_id)
            for job_id, twin in self.twins.items()
            if twin.task == task and machine.claim(twin.job, self.now, LEASE)
        ]
        assert [claim.id for claim in claims] == sorted(self._choose(sorted(ready), limit))
        for claim in claims:
            self._move(claim.id, machine.claim(self.twins[claim.id].job, self.now, LEASE))
            twin = self.twins[claim.id]
            assert (claim.fence, claim.failures) == (twin.job.fence, twin.job.failures)
            assert (claim.tenant, claim.task) == (twin.tenant, task)
        self.claims += claims

    def beat(self, picks: list[int], fraction: float) -> None:
        fences = self._pick_fences(picks)
        progress = {job_id: {"fraction": fraction} for job_id in list(fences)[:2]}
        with self.sessions.begin() as session:
            store.extend(session, fences, LEASE, progress)
        for job_id, fence in fences.items():
            after = machine.extend(self.twins[job_id].job, fence, self.now, LEASE)
            self._move(job_id, after)
            if after:
                self.twins[job_id].progress = progress.get(job_id)

    def read_orders(self, picks: list[int]) -> None:
        fences = self._pick_fences(picks)
        with self.sessions.read() as session:
            orders = store.read_orders(session, fences)
        assert orders == {job_id: self._order(job_id, fence) for job_id, fence in fences.items()}

    def finish(self, pick: int, state: State, code: str | None) -> None:
        for claim in self._pick_claims([pick]):
            with self.sessions.begin() as session:
                written = store.finish(session, claim, state, error_code=code)
            after = machine.finish(self.twins[claim.id].job, claim.fence, state, code)
            assert written == (after is not None)
            self._move(claim.id, after)

    def release(self, pick: int) -> None:
        for claim in self._pick_claims([pick]):
            with self.sessions.begin() as session:
                written = store.release(session, claim)
            after = machine.release(self.twins[claim.id].job, claim.fence)
            assert written == (after is not None)
            self._move(claim.id, after)

    def compare(self) -> None:
        with self.sessions.read() as session:
            now = session.scalar(select(db_now()))
            rows = session.scalars(select(Job)).all()
        assert {row.id for row in rows} == set(self.twins)
        for row in rows:
            self._compare(row, self.twins[row.id], now - self.now)

    def _compare(self, row: Job, twin: Twin, offset: float) -> None:
        job = twin.job
        assert (row.state, row.fence, row.failures) == (job.state, job.fence, job.failures)
        assert (row.cancel_requested, row.error_code) == (job.cancel_requested, job.error_code)
        assert (row.dispatched_at is None) == (job.dispatched_at is None)
        assert (row.lease_until is None) == (job.lease_until is None)
        if job.lease_until is not None:
            assert abs(row.lease_until - offset - job.lease_until) < TICK / 2
        assert row.progress == twin.progress
        assert (row.started_at is None) == (job.fence == 0)
        assert (row.finished_at is None) == (job.state not in TERMINAL)
        assert (row.expires_at is None) == (job.state not in TERMINAL)

    def _compare_ended(self, ended: list[store.Ended], step: Any) -> None:
        expected = {}
        for job_id, twin in self.twins.items():
            after = step(twin.job)
            self._move(job_id, after)
            if after:
                expected[job_id] = (after.state, after.error_code)
        assert {end.id: (end.state, end.error_code) for end in ended} == expected
        assert len(ended) == len(expected)

    def _choose(self, ready: list[tuple[int, Any, str]], limit: int) -> list[str]:
        """The next jobs in line; one that has lost a worker is taken alone."""
        in_line = [job_id for _, _, job_id in ready]
        suspect = {job_id: self.twins[job_id].job.failures > 0 for job_id in in_line}
        if in_line and suspect[in_line[0]]:
            return in_line[:1]
        return [job_id for job_id in in_line if not suspect[job_id]][:limit]

    def _order(self, job_id: str, fence: int) -> str | None:
        job = self.twins[job_id].job
        if job.state is not State.RUNNING or job.fence != fence:
            return "lost"
        if job.cancel_requested:
            return "cancel"
        return "late" if self.now >= job.deadline_at else None

    def _pick_claims(self, picks: list[int]) -> list[store.Claim]:
        """Counted from the newest; none if nobody has claimed yet."""
        return [self.claims[-1 - pick % len(self.claims)] for pick in picks if self.claims]

    def _pick_fences(self, picks: list[int]) -> dict[str, int]:
        return {claim.id: claim.fence for claim in self._pick_claims(picks)}

    def _move(self, job_id: str, after: machine.Job | None) -> None:
        if after is not None:
            self.twins[job_id].job = after


TENANT = st.sampled_from(["ann", "bob"])
NEW_JOBS = st.fixed_dictionaries(
    {
        "task": st.sampled_from(TASKS),
        "priority": st.integers(0, 2),
        "tenant": TENANT,
        "deadline_at": st.sampled_from([1, 2, 3, 100, 100, 100]).map(lambda n: n * TICK + TICK / 2),
    }
)
PICK = st.integers(0, 12)
PICKS = st.lists(PICK, max_size=4)
SEED = st.integers(0, 1000)
CLAIM = st.tuples(st.just("claim"), st.sampled_from(TASKS), st.integers(1, 4))

STEPS = st.lists(
    st.one_of(
        CLAIM,
        CLAIM,
        CLAIM,
        st.tuples(st.just("submit"), st.lists(NEW_JOBS, min_size=1, max_size=4)),
        st.tuples(st.just("cancel"), PICK, TENANT),
        st.tuples(st.just("wait"), st.integers(1, 3)),
        st.tuples(st.just("announce"), SEED),
        st.tuples(st.just("wipe_broker")),
        st.tuples(st.just("expire")),
        st.tuples(st.just("lose_all_workers"), SEED),
        st.tuples(st.just("pass_deadlines")),
        st.tuples(st.just("beat"), PICKS, st.floats(0, 1)),
        st.tuples(st.just("read_orders"), PICKS),
        st.tuples(
            st.just("finish"),
            PICK,
            st.sampled_from(sorted(TERMINAL)),
            st.sampled_from([None, "odd"]),
        ),
        st.tuples(st.just("release"), PICK),
    ),
    min_size=30,
    max_size=60,
)


@settings(
    max_examples=settings.default.max_examples // 4,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(jobs=st.lists(NEW_JOBS, min_size=2, max_size=10), steps=STEPS)
def test_sql_equals_machine(sessions, jobs, steps):
    both = StoreAndMachine(sessions)
    both.submit(jobs)
    both.announce(seed=0)
    for name, *arguments in steps:
        getattr(both, name)(*arguments)
        both.compare()
