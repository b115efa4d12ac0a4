"""Whatever happens in whatever order, each job gets one outcome, and only its holder writes it."""

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from shared.jobs import machine
from shared.jobs.machine import TERMINAL, WORKER_LOST, Job, State

MAX_FAILURES = 2
LEASE = 10
WAIT = st.integers(0, LEASE) | st.integers(10 * LEASE, 11 * LEASE)  # until the deadline


@dataclass(frozen=True)
class Claim:
    """What a worker remembers; it may be a zombie's."""

    job: int
    fence: int


@dataclass
class History:
    """What happened to one job, written down without the machine's help."""

    claims: int = 0
    holder: int | None = None  # the fence of the worker that may write
    losses: int = 0
    outcomes: int = 0
    cancelled_unrun: bool = False


class JobsAndWorkers(RuleBasedStateMachine):
    claims = Bundle("claims")
    picks = st.integers(0, 11)  # a job, by the remainder

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.jobs: list[Job] = []
        self.histories: list[History] = []

    # Clients

    @initialize(waits=st.lists(WAIT, min_size=1, max_size=4))
    def submit_some(self, waits: list[int]) -> None:
        for wait in waits:
            self.submit(wait, announced=True)

    @rule(wait=WAIT, announced=st.booleans())
    def submit(self, wait: int, announced: bool) -> None:
        job = Job(deadline_at=self.now + wait)
        self.jobs.append((machine.announce(job, self.now) or job) if announced else job)
        self.histories.append(History())

    @rule(pick=picks)
    def cancel(self, pick: int) -> None:
        index = pick % len(self.jobs)
        before = self.jobs[index]
        after = self._move(index, machine.cancel(before))
        if before.state is State.QUEUED:
            assert after is not None
            assert after.state is State.CANCELLED
            self.histories[index].cancelled_unrun = True
        elif before.state is State.RUNNING:
            assert self.jobs[index].cancel_requested
            assert self.jobs[index].state is State.RUNNING

    # The relay and its broker

    @rule(seconds=st.integers(0, LEASE + 2))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def announce_all(self) -> None:
        for index, job in enumerate(self.jobs):
            announced = self._move(index, machine.announce(job, self.now))
            assert (announced is not None) == (
                job.state is State.QUEUED and job.dispatched_at is None
            )

    @rule()
    def wipe_broker(self) -> None:
        for index, job in enumerate(self.jobs):
            self._move(index, machine.forget_announcement(job))
        assert all(job.dispatched_at is None for job in self.jobs)

    @rule()
    def sweep(self) -> None:
        for index, job in enumerate(self.jobs):
            lost = self._move(index, machine.expire(job, self.now, MAX_FAILURES))
            if lost is not None:
                assert job.lease_until is not None
                assert job.lease_until < self.now
                self.histories[index].holder = None
                self.histories[index].losses += 1
            late = self._move(index, machine.pass_deadline(self.jobs[index], self.now))
            assert late is None or job.deadline_at <= self.now

    @rule()
    def lose_all_workers(self) -> None:
        """A power cut: nobody beats until every lease has run out."""
        self.now += LEASE + 1
        self.sweep()
        self.announce_all()

    # Workers: a claim is kept for ever, so every later use of a lost one is a zombie's

    @precondition(lambda self: any(job.dispatched_at is not None for job in self.jobs))
    @rule(target=claims, pick=picks)
    def claim_announced(self, pick: int) -> object:
        ready = [index for index, job in enumerate(self.jobs) if job.dispatched_at is not None]
        return self.claim(ready[pick % len(ready)])

    @rule(target=claims, pick=picks)
    def claim(self, pick: int) -> object:
        index = pick % len(self.jobs)
        before, history = self.jobs[index], self.histories[index]
        after = self._move(index, machine.claim(before, self.now, LEASE))
        if after is None:
            return multiple()
        assert history.holder is None, "a job ran twice at once"
        assert not history.cancelled_unrun
        assert not before.cancel_requested
        assert before.dispatched_at is not None
        assert self.now < before.deadline_at
        history.claims += 1
        history.holder = after.fence
        return Claim(index, after.fence)

    @rule(claim=claims)
    def beat(self, claim: Claim) -> None:
        after = self._write(claim, machine.extend(self._job(claim), claim.fence, self.now, LEASE))
        assert after is None or after.lease_until == self.now + LEASE

    @rule(claim=claims, state=st.sampled_from(sorted(TERMINAL)))
    def finish(self, claim: Claim, state: State) -> None:
        after = self._write(claim, machine.finish(self._job(claim), claim.fence, state))
        if after is not None:
            assert after.state is state
            self.histories[claim.job].holder = None

    @rule(claim=claims, state=st.sampled_from(sorted(set(State) - TERMINAL)))
    def finish_without_outcome(self, claim: Claim, state: State) -> None:
        assert machine.finish(self._job(claim), claim.fence, state) is None

    @rule(claim=claims)
    def shut_down(self, claim: Claim) -> None:
        before = self._job(claim)
        after = self._write(claim, machine.release(before, claim.fence))
        if after is not None:
            assert after.failures == before.failures, "a planned shutdown was charged"
            expected = State.CANCELLED if before.cancel_requested else State.QUEUED
            assert after.state is expected
            self.histories[claim.job].holder = None

    @rule(claim=consumes(claims))
    def crash(self, claim: Claim) -> None:
        """The worker never says anything again about this job."""

    @rule(pick=picks, fence=st.integers(-1, 5))
    def write_with_guessed_fence(self, pick: int, fence: int) -> None:
        index = pick % len(self.jobs)
        if fence != self.histories[index].holder:
            job = self.jobs[index]
            assert machine.extend(job, fence, self.now, LEASE) is None
            assert machine.finish(job, fence, State.SUCCEEDED) is None
            assert machine.release(job, fence) is None

    # What always holds

    @invariant()
    def running_means_leased_and_unannounced(self) -> None:
        for job, history in zip(self.jobs, self.histories, strict=True):
            running = job.state is State.RUNNING
            assert running == (job.lease_until is not None) == (history.holder is not None)
            assert job.dispatched_at is None or job.state is State.QUEUED

    @invariant()
    def counters_tell_the_truth(self) -> None:
        for job, history in zip(self.jobs, self.histories, strict=True):
            assert job.fence == history.claims
            assert job.failures == history.losses <= MAX_FAILURES
            assert history.outcomes == (job.state in TERMINAL)
            if job.failures == MAX_FAILURES and job.state is not State.CANCELLED:
                assert (job.state, job.error_code) == (State.FAILED, WORKER_LOST)
            else:
                assert job.error_code != WORKER_LOST

    def teardown(self) -> None:
        """However it went so far, a sweep and one healthy worker bring every job to its end."""
        self.now += LEASE + 1
        self.sweep()
        self.announce_all()
        for pick in range(len(self.jobs)):
            claim = self.claim(pick)
            if isinstance(claim, Claim):
                self.finish(claim, State.SUCCEEDED)
        assert all(job.state in TERMINAL for job in self.jobs)
        assert all(history.outcomes == 1 for history in self.histories)

    def _job(self, claim: Claim) -> Job:
        return self.jobs[claim.job]

    def _write(self, claim: Claim, after: Job | None) -> Job | None:
        held = self.histories[claim.job].holder == claim.fence
        assert (after is not None) == held, "only the holder of the newest fence may write"
        return self._move(claim.job, after)

    def _move(self, index: int, after: Job | None) -> Job | None:
        before = self.jobs[index]
        if after is not None:
            assert before.state not in TERMINAL, "an outcome changed"
            assert after.fence >= before.fence
            assert after.deadline_at == before.deadline_at
            assert after.cancel_requested >= before.cancel_requested
            self.histories[index].outcomes += after.state in TERMINAL
            self.jobs[index] = after
        return after


TestJobsAndWorkers = JobsAndWorkers.TestCase
TestJobsAndWorkers.settings = settings(
    max_examples=2 * settings.default.max_examples, stateful_step_count=60
)


def test_a_job_is_given_up_when_it_has_lost_its_third_worker():
    job, ends = Job(deadline_at=1000), []
    while job.state not in TERMINAL:
        running = machine.claim(machine.announce(job, 0), 0, LEASE)
        job = machine.expire(running, LEASE + 1, max_failures=3)
        ends.append((job.state, job.error_code))
    assert ends == [(State.QUEUED, None)] * 2 + [(State.FAILED, WORKER_LOST)]
