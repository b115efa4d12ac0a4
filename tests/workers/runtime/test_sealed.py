"""What is sensitive in a job is open only while it runs; what effects return is in its result."""

import json
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import pytest
from sqlalchemy.orm import Session

from services.relay.sweep import Sweeper
from shared.contract import Message, Sealed, Task
from shared.jobs.machine import State
from shared.sealing import open_fields, seal_fields
from tests.rows import make_job
from tests.workers.runtime.conftest import Quiz, note
from workers.runtime.run import Cancelled, InvalidInput, JobError, Run

VECTOR = [0.123456789, -0.987654321]
Vector = Annotated[list[float] | None, Sealed()]


class Look(Message):
    number: int
    vector: Vector = None


class Sight(Message):
    number: int
    vector: Vector = None
    seq: int | None = None
    name: str = ""


LOOK = Task("quiz.look", Look, Sight, "Look.", example={"number": 1}, max_batch=8, time_limit=5)

Batch = Sequence[Run[Look]]
Method = Callable[[Batch], list[Sight | JobError]]


def add(quiz: Quiz, numbers: Sequence[int], vector: list[float] | None = VECTOR) -> list[str]:
    """Jobs as the gateway stores them."""
    jobs = [make_job(task=LOOK.name, dispatched_at=1.0 + number) for number in numbers]
    key = quiz.executor.keyring.key("ann")
    for job, number in zip(jobs, numbers, strict=True):
        job.request = seal_fields(key, job.id, {"number": number, "vector": vector}, ["vector"])
    with quiz.sessions.begin() as session:
        session.add_all(jobs)
    return [job.id for job in jobs]


def echo(batch: Batch) -> list[Sight | JobError]:
    return [Sight(number=run.request.number, vector=run.request.vector) for run in batch]


def with_effects(*effects: Callable[[Session], Any]) -> Method:
    def method(batch: Batch) -> list[Sight | JobError]:
        for run in batch:
            run.effects.extend(effects)
        return echo(batch)

    return method


def raising(error: BaseException) -> Callable[[object], Any]:
    def method(_: object) -> Any:
        raise error

    return method


def open_result(quiz: Quiz, job_id: str) -> dict[str, Any]:
    result = quiz.job(job_id).result
    assert result is not None
    return open_fields(quiz.executor.keyring.key("ann"), job_id, result, ["vector"])


def test_a_sealed_field_is_open_for_the_worker(quiz: Quiz):
    add(quiz, [1, 2])
    seen: dict[int, list[float] | None] = {}

    def look(batch: Batch) -> list[Sight | JobError]:
        seen.update({run.request.number: run.request.vector for run in batch})
        return echo(batch)

    quiz.run(look, LOOK)
    assert seen == {1: VECTOR, 2: VECTOR}


ENDS: dict[str, tuple[Method, str | None]] = {
    "success": (echo, None),
    "refusal": (lambda batch: [InvalidInput("no face") for _ in batch], "invalid_input"),
    "failure": (raising(ValueError("bug")), "worker_error"),
    "refused effect": (with_effects(raising(InvalidInput("taken"))), "invalid_input"),
    "broken effect": (with_effects(raising(ValueError("bug"))), "worker_error"),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_sealed_field_is_gone_once_its_job_has_ended(quiz: Quiz, end: str):
    method, code = ENDS[end]
    ids = add(quiz, [1, 2])
    sealed = [quiz.job(job_id).request["vector"]["sealed"] for job_id in ids]
    quiz.run(method, LOOK)
    for number, job_id, hidden in zip([1, 2], ids, sealed, strict=True):
        job = quiz.job(job_id)
        assert (job.request, job.error_code) == ({"number": number, "vector": None}, code)
        assert hidden not in json.dumps([job.request, job.result, job.error_detail])


def test_a_job_that_is_cancelled_while_it_runs_forgets_it_too(quiz: Quiz):
    [job_id] = add(quiz, [1])

    def cancel(batch: Batch) -> list[Sight | JobError]:
        quiz.change(job_id, cancel_requested=True)
        quiz.heartbeat.tick()
        batch[0].raise_if_cancelled()
        raise AssertionError

    quiz.run(cancel, LOOK)
    job = quiz.job(job_id)
    assert (job.state, job.request) == (State.CANCELLED, {"number": 1, "vector": None})


def test_a_job_that_is_handed_back_keeps_it_for_the_next_worker(quiz: Quiz):
    [job_id] = add(quiz, [1])
    sealed = quiz.job(job_id).request

    def stop(_: Batch) -> list[Sight | JobError]:
        quiz.heartbeat.stopping.set()
        raise Cancelled

    quiz.run(stop, LOOK)
    job = quiz.job(job_id)
    assert (job.state, job.request) == (State.QUEUED, sealed)


def test_a_job_that_is_handed_back_and_was_to_be_cancelled_forgets_it(quiz: Quiz):
    [job_id] = add(quiz, [1])

    def stop(_: Batch) -> list[Sight | JobError]:
        quiz.heartbeat.stopping.set()
        quiz.change(job_id, cancel_requested=True)
        raise Cancelled

    quiz.run(stop, LOOK)
    job = quiz.job(job_id)
    assert (job.state, job.request) == (State.CANCELLED, {"number": 1, "vector": None})


LOST = {"state": "running", "fence": 1, "lease_until": 1.0, "dispatched_at": None}
TAKEN_BACK: dict[str, tuple[dict[str, Any], State]] = {
    "worker lost": ({**LOST, "failures": 2}, State.FAILED),
    "cancelled and lost": ({**LOST, "cancel_requested": True}, State.CANCELLED),
    "late": ({"deadline_at": 1.0}, State.FAILED),
    "lost once": (LOST, State.QUEUED),
}


@pytest.mark.parametrize("how", TAKEN_BACK)
def test_a_job_that_no_worker_ends_forgets_it_too(quiz: Quiz, how: str):
    values, state = TAKEN_BACK[how]
    [job_id] = add(quiz, [1])
    quiz.change(job_id, **values)
    sealed = quiz.job(job_id).request
    Sweeper(quiz.settings, quiz.sessions, quiz.events, quiz.executor.blobs).take_back()
    job = quiz.job(job_id)
    assert job.state == state
    assert job.request == (sealed if state is State.QUEUED else {"number": 1, "vector": None})


def test_a_sealed_field_of_a_result_rests_encrypted(quiz: Quiz):
    [job_id] = add(quiz, [1])
    quiz.run(echo, LOOK)
    result = quiz.job(job_id).result
    assert str(VECTOR[0]) not in json.dumps(result)
    assert result["number"] == 1
    assert open_result(quiz, job_id) == {"number": 1, "vector": VECTOR, "seq": None, "name": ""}


def test_a_field_that_is_not_set_is_not_sealed(quiz: Quiz):
    [job_id] = add(quiz, [1], vector=None)
    quiz.run(echo, LOOK)
    assert quiz.job(job_id).result["vector"] is None


@pytest.mark.parametrize("harm", ["changed", "of another job", "never sealed"])
def test_a_request_that_cannot_be_opened_fails_alone(quiz: Quiz, harm: str):
    first, bad, last = add(quiz, [1, 2, 3])
    vector = {
        "changed": {"sealed": "AAAA" + quiz.job(bad).request["vector"]["sealed"][4:]},
        "of another job": quiz.job(first).request["vector"],
        "never sealed": VECTOR,
    }[harm]
    quiz.change(bad, request={"number": 2, "vector": vector})
    quiz.run(echo, LOOK)
    assert sorted(*quiz.batches) == [1, 3]
    job = quiz.job(bad)
    assert (job.state, job.error_code) == (State.FAILED, "invalid_request")
    assert "Send it again" in job.error_detail
    assert job.request["vector"] is None
    assert quiz.job(first).state == quiz.job(last).state == State.SUCCEEDED


def test_what_effects_return_is_in_the_result(quiz: Quiz):
    [job_id] = add(quiz, [1])
    quiz.run(with_effects(lambda _: {"seq": 7}, lambda _: None, lambda _: {"name": "x"}), LOOK)
    assert open_result(quiz, job_id) == {"number": 1, "vector": VECTOR, "seq": 7, "name": "x"}


def test_what_effects_return_belongs_to_their_own_job(quiz: Quiz):
    ids = add(quiz, [1, 2, 3])

    def method(batch: Batch) -> list[Sight | JobError]:
        for run in batch:
            run.effects.append(lambda _, number=run.request.number: {"seq": 10 * number})
            if run.request.number == 2:
                run.effects.append(raising(InvalidInput("taken")))
        return echo(batch)

    quiz.run(method, LOOK)
    assert [quiz.job(job_id).error_code for job_id in ids] == [None, "invalid_input", None]
    assert quiz.job(ids[1]).result is None
    assert [open_result(quiz, ids[place])["seq"] for place in (0, 2)] == [10, 30]


def test_a_refused_effect_says_why_and_undoes_the_others_of_its_job(quiz: Quiz):
    [job_id] = add(quiz, [1])
    quiz.run(with_effects(note("x" * 32, 1), raising(InvalidInput("It is taken."))), LOOK)
    job = quiz.job(job_id)
    assert (job.state, job.error_code, job.error_detail) == (
        State.FAILED,
        "invalid_input",
        "It is taken.",
    )
    assert quiz.effects() == []
