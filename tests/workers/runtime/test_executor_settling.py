"""A job of a batch can end before the others, and a cancelled one can keep what it has made."""

from typing import Any

import pytest

from shared.jobs import store
from shared.jobs.machine import State
from tests.workers.runtime.conftest import ASK, Answer, Batch, Quiz, answer_all, note
from workers.runtime.run import SETTLED, Cancelled, InvalidInput


def cancel(quiz: Quiz, job_id: str) -> None:
    with quiz.sessions.begin() as session:
        store.cancel(session, "ann", job_id)
    quiz.heartbeat.tick()


def test_a_settled_job_has_ended_while_the_others_go_on(quiz: Quiz):
    ids = sorted(quiz.add([1, 2]))  # as a batch has them

    def method(batch: Batch) -> list[Any]:
        first, second = batch
        first.effects.append(note(first.job_id, 1))
        first.settle(Answer(number=11))
        job = quiz.job(first.job_id)
        assert (job.state, job.result) == (State.SUCCEEDED, {"number": 11})
        assert quiz.follow(first.job_id)[-1].kind == "succeeded"
        assert quiz.job(second.job_id).state == State.RUNNING
        quiz.heartbeat.tick()
        return [SETTLED, Answer(number=22)]

    quiz.run(method)
    assert [quiz.job(job_id).result for job_id in ids] == [{"number": 11}, {"number": 22}]
    assert quiz.effects() == [(ids[0], 1)]
    assert len(quiz.batches) == 1


def test_a_refusal_is_settled_alone(quiz: Quiz):
    ids = sorted(quiz.add([1, 2]))

    def method(batch: Batch) -> list[Any]:
        batch[0].settle(InvalidInput("Send another."))
        return [SETTLED, Answer(number=2)]

    quiz.run(method)
    assert [quiz.job(job_id).error_code for job_id in ids] == ["invalid_input", None]


def test_a_cancelled_job_of_a_batch_ends_at_once_and_keeps_what_it_has_made(quiz: Quiz):
    ids = sorted(quiz.add([1, 2]))

    def method(batch: Batch) -> list[Any]:
        batch[0].kept = Answer(number=7)
        cancel(quiz, ids[0])
        with pytest.raises(Cancelled) as stopped:
            batch[0].raise_if_cancelled()
        batch[0].settle(stopped.value)
        assert quiz.job(ids[0]).state == State.CANCELLED
        return [SETTLED, Answer(number=2)]

    quiz.run(method)
    assert quiz.job(ids[0]).result == {"number": 7}
    assert quiz.job(ids[1]).state == State.SUCCEEDED


def test_a_cancelled_job_keeps_what_it_has_made(quiz: Quiz):
    [job_id] = quiz.add([1])

    def method(batch: Batch) -> list[Any]:
        batch[0].kept = Answer(number=7)
        cancel(quiz, job_id)
        batch[0].raise_if_cancelled()
        raise AssertionError("was not told")

    quiz.run(method)
    job = quiz.job(job_id)
    assert (job.state, job.result) == (State.CANCELLED, {"number": 7})


def test_a_job_that_fails_keeps_nothing(quiz: Quiz):
    [job_id] = quiz.add([1])

    def method(batch: Batch) -> list[Any]:
        batch[0].kept = Answer(number=7)
        return [InvalidInput("no")]

    quiz.run(method)
    assert (quiz.job(job_id).state, quiz.job(job_id).result) == (State.FAILED, None)


def test_a_job_that_is_handed_back_keeps_nothing(quiz: Quiz):
    [job_id] = quiz.add([1])

    def method(batch: Batch) -> list[Any]:
        batch[0].kept = Answer(number=7)
        quiz.heartbeat.stopping.set()
        batch[0].raise_if_cancelled()
        raise AssertionError("was not told")

    quiz.run(method)
    assert (quiz.job(job_id).state, quiz.job(job_id).result) == (State.QUEUED, None)


def test_a_batch_that_fails_later_is_run_again_without_those_that_have_ended(quiz: Quiz):
    ids = sorted(quiz.add([1, 2, 3]))

    def method(batch: Batch) -> list[Any]:
        if len(batch) == 3:
            batch[1].settle(Answer(number=22))
            raise ValueError("of the batch")
        return answer_all(batch)

    quiz.run(method)
    first, second, third = quiz.batches[0]
    assert quiz.batches[1:] == [[first], [third]]
    results = [quiz.job(job_id).result for job_id in ids]
    assert results == [{"number": first}, {"number": 22}, {"number": third}]
    assert second != 22


def test_a_job_called_settled_that_is_not_fails(quiz: Quiz):
    [job_id] = quiz.add([1])
    quiz.run(lambda _: [SETTLED])
    assert quiz.job(job_id).error_code == "worker_error"


def test_no_more_jobs_are_claimed_than_the_machine_does_at_once(quiz: Quiz):
    quiz.add([1, 2, 3])
    assert quiz.executor.run_next(ASK, answer_all, most=2) == 2
