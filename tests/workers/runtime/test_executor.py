"""What a worker does with a batch: every job gets its own outcome, and only one."""

import signal
import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from shared.events import connect
from shared.jobs.machine import State
from shared.tables import Job
from tests.servers import find_free_port
from tests.workers.runtime.conftest import ASK, Answer, Batch, Quiz, answer_all, note
from workers.runtime.run import InvalidInput, JobError

BATCH = ASK.max_batch


def test_a_batch_has_the_announced_order_and_at_most_the_tasks_size(quiz: Quiz):
    quiz.add(range(BATCH + 3))
    assert quiz.run() == BATCH
    assert quiz.run() == 3
    assert [sorted(batch) for batch in quiz.batches] == [[*range(BATCH)], [8, 9, 10]]
    assert quiz.run() == 0  # a message for jobs that others took is a cheap no-op


def test_answers_reach_the_jobs_they_belong_to(quiz: Quiz):
    ids = quiz.add(range(BATCH))
    quiz.run()
    for number, job_id in enumerate(ids):
        job = quiz.job(job_id)
        assert (job.state, job.result) == (State.SUCCEEDED, {"number": number})
        assert job.error_code is None
        assert [event.kind for event in quiz.follow(job_id)] == ["running", "succeeded"]


def test_high_priority_comes_first(quiz: Quiz):
    quiz.add(range(BATCH), priority=1)
    quiz.add([100, 101], priority=0)
    quiz.run()
    assert {100, 101} < set(quiz.batches[0])


POISONS = {
    "exception": "worker_error",
    "memory": "too_large",
    "raised": "invalid_input",
    "answered": "invalid_input",
    "time": "time_limit",
}


def fail(kind: str) -> None:
    """Fail the whole call, as the method of a worker does."""
    match kind:
        case "exception":
            raise ValueError("poison")
        case "memory":
            raise MemoryError
        case "raised":
            raise InvalidInput("Nothing can be done with this.")
        case "time":
            signal.raise_signal(signal.SIGALRM)  # what the end of the time limit does


@given(poisons=st.dictionaries(st.integers(0, BATCH - 1), st.sampled_from(sorted(POISONS))))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_failing_batch_is_split_until_exactly_the_bad_jobs_fail(
    quiz: Quiz, poisons: dict[int, str]
):
    with quiz.sessions.begin() as session:
        session.execute(delete(Job))
    ids = quiz.add(range(BATCH))

    def method(batch: Batch) -> list[Answer | JobError]:
        answers: list[Answer | JobError] = []
        for run in batch:
            run.effects.append(note(run.job_id, run.request.number))
            fail(poisons.get(run.request.number, ""))
            bad = poisons.get(run.request.number) == "answered"
            answers.append(InvalidInput("no") if bad else Answer(number=run.request.number))
        return answers

    quiz.run(method)
    codes = {number: quiz.job(job_id).error_code for number, job_id in enumerate(ids)}
    assert codes == {
        number: POISONS[poisons[number]] if number in poisons else None for number in range(BATCH)
    }
    good = {(ids[number], number) for number in range(BATCH) if number not in poisons}
    mine = [effect for effect in quiz.effects() if effect[0] in ids]
    assert sorted(mine) == sorted(good)  # one effect each, none from a call that failed


@pytest.mark.parametrize(
    "answers",
    [
        lambda batch: answer_all(batch)[:-1],
        lambda batch: [*answer_all(batch), Answer(number=0)],
        lambda _: None,
        lambda batch: (answer for answer in answer_all(batch)),
        lambda batch: [run.request for run in batch],
        lambda batch: [{"number": 1} for _ in batch],
    ],
    ids=["too few", "too many", "none", "generator", "wrong model", "no model"],
)
def test_a_wrong_answer_fails_the_jobs_with_a_word_for_the_client(quiz: Quiz, answers: Any):
    ids = quiz.add([1, 2])
    quiz.run(answers)
    for job_id in ids:
        job = quiz.job(job_id)
        assert (job.state, job.error_code) == (State.FAILED, "worker_error")
        assert "TypeError" in (job.error_detail or "")


def test_a_method_that_takes_too_long_is_interrupted(quiz: Quiz):
    [job_id] = quiz.add([1])
    started = time.monotonic()
    quiz.run(lambda _: time.sleep(30), task=replace(ASK, time_limit=0.2))
    assert time.monotonic() - started < 5
    job = quiz.job(job_id)
    assert (job.state, job.error_code) == (State.FAILED, "time_limit")
    assert "0.2 s" in (job.error_detail or "")
    assert quiz.heartbeat.call_ends is None  # or the process would soon be taken for stuck


def test_each_part_of_a_split_batch_has_the_whole_time_limit(quiz: Quiz):
    ids = quiz.add([0, 1, 2, 3])

    def method(batch: Batch) -> list[Answer | JobError]:
        time.sleep(0.3 if len(batch) > 1 else 0.1)
        return answer_all(batch)

    quiz.run(method, task=replace(ASK, time_limit=0.25))
    assert {quiz.job(job_id).state for job_id in ids} == {State.SUCCEEDED}


def test_a_job_that_lost_a_worker_runs_alone_and_the_others_follow(quiz: Quiz):
    quiz.add([1], failures=1, dispatched_at=1.0)
    quiz.add([2, 3])
    assert quiz.run() == 3
    assert [sorted(batch) for batch in quiz.batches] == [[1], [2, 3]]


def test_a_request_that_no_longer_fits_fails_alone(quiz: Quiz):
    [old] = quiz.add([0], request={"text": "from an older version"})
    [good] = quiz.add([1])
    quiz.run()
    assert quiz.job(old).error_code == "invalid_request"
    assert "quiz.ask" in (quiz.job(old).error_detail or "")
    assert quiz.job(good).state == State.SUCCEEDED
    assert quiz.batches == [[1]]


def test_a_file_that_is_gone_fails_its_job_and_says_so(quiz: Quiz):
    missing = "0" * 64
    [gone] = quiz.add([1], request={"number": 1, "file": missing})
    [good] = quiz.add([2])

    def method(batch: Batch) -> list[Answer | JobError]:
        for run in batch:
            if run.request.file:
                run.read(run.request.file)
        return answer_all(batch)

    quiz.run(method)
    assert quiz.job(gone).error_code == "invalid_input"
    assert missing in (quiz.job(gone).error_detail or "")
    assert quiz.job(good).state == State.SUCCEEDED


def test_a_file_saved_by_a_worker_belongs_to_the_jobs_tenant(quiz: Quiz):
    quiz.add([1], tenant="bob")
    saved: list[str] = []

    def method(batch: Batch) -> list[Answer | JobError]:
        saved.append(batch[0].save(b"a picture"))
        assert batch[0].read(saved[0]) == b"a picture"
        return answer_all(batch)

    quiz.run(method)
    blobs = quiz.executor.blobs
    assert saved[0] in blobs.find("bob", saved)
    assert not blobs.find("ann", saved)


def test_parts_of_an_answer_are_told_in_order_before_its_end(quiz: Quiz):
    """Every one of them, however fast they come, unlike progress."""
    [job_id] = quiz.add([1])

    def method(batch: Batch) -> list[Answer | JobError]:
        for number in range(20):
            batch[0].tell([{"frame": number}])
            batch[0].progress(number / 20)
        return answer_all(batch)

    quiz.run(method)
    events = quiz.follow(job_id)
    told = [event.data["lines"] for event in events if event.kind == "partial"]
    assert told == [[{"frame": number}] for number in range(20)]
    assert (events[0].kind, events[-1].kind) == ("running", "succeeded")
    assert len([event for event in events if event.kind == "progress"]) < 20


def test_a_job_goes_on_while_nobody_can_be_told(quiz: Quiz, monkeypatch: pytest.MonkeyPatch):
    [job_id] = quiz.add([1])

    def method(batch: Batch) -> list[Answer | JobError]:
        batch[0].tell([{"frame": 0}])
        return answer_all(batch)

    monkeypatch.setattr(quiz.events, "redis", connect(f"redis://127.0.0.1:{find_free_port()}"))
    quiz.run(method)
    assert quiz.job(job_id).state == State.SUCCEEDED


def test_a_stopping_worker_claims_nothing(quiz: Quiz):
    [job_id] = quiz.add([1])
    quiz.heartbeat.stopping.set()
    assert quiz.run() == 0
    assert quiz.job(job_id).state == State.QUEUED
