"""A running job hears that it should stop, and tells how far it is."""

import time

import pytest

from shared.db import db_now
from shared.jobs import store
from shared.jobs.machine import State
from tests.workers.runtime.conftest import (
    Answer,
    Batch,
    Quiz,
    answer_all,
    answer_with_effects,
    note,
)
from workers.runtime.run import JobError


def run_until_stopped(quiz: Quiz, then: str) -> float:
    """Run a method that works for ever while it reports; seconds until it stopped."""
    started = time.monotonic()

    def method(batch: Batch) -> list[Answer | JobError]:
        for run in batch:
            run.effects.append(note(run.job_id, run.request.number))
            if then == "cancel":
                with quiz.sessions.begin() as session:
                    store.cancel(session, run.tenant, run.job_id)
            elif then == "deadline":
                quiz.change(run.job_id, deadline_at=db_now())
            elif then == "stop":
                quiz.heartbeat.stopping.set()
            for _ in range(100):
                quiz.heartbeat.tick()
                run.progress(0.5, "working")
                time.sleep(0.02)
        return answer_all(batch)

    quiz.run(method)
    return time.monotonic() - started


def test_a_cancelled_job_stops_and_is_cancelled(quiz: Quiz):
    [job_id] = quiz.add([1])
    assert run_until_stopped(quiz, "cancel") < 1.5
    assert quiz.job(job_id).state == State.CANCELLED
    assert quiz.effects() == []
    assert quiz.follow(job_id)[-1].kind == "cancelled"


def test_a_job_still_running_at_its_deadline_fails(quiz: Quiz):
    [job_id] = quiz.add([1])
    assert run_until_stopped(quiz, "deadline") < 1.5
    job = quiz.job(job_id)
    assert (job.state, job.error_code) == (State.FAILED, "deadline_exceeded")
    assert quiz.effects() == []


def test_a_planned_stop_gives_the_job_back_uncharged_and_to_be_announced_again(quiz: Quiz):
    [job_id] = quiz.add([1])
    assert run_until_stopped(quiz, "stop") < 1.5
    job = quiz.job(job_id)
    assert (job.state, job.failures, job.dispatched_at) == (State.QUEUED, 0, None)
    assert quiz.effects() == []
    assert quiz.follow(job_id)[-1].kind == "queued"
    with quiz.sessions.begin() as session:
        assert store.announce(session, [job_id]) == [job_id]
    quiz.heartbeat.stopping.clear()
    quiz.run()
    assert quiz.job(job_id).state == State.SUCCEEDED


def test_a_method_that_outlives_the_grace_of_a_stop_loses_its_job_uncharged(
    quiz: Quiz, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("workers.runtime.heartbeat.STOP_GRACE", 0.05)
    [job_id] = quiz.add([1])

    def method(batch: Batch) -> list[Answer | JobError]:
        quiz.heartbeat.stopping.set()
        quiz.heartbeat.tick()
        time.sleep(0.1)
        quiz.heartbeat.tick()
        assert quiz.job(job_id).state == State.QUEUED
        return answer_with_effects(batch)

    quiz.run(method)
    job = quiz.job(job_id)
    assert (job.state, job.failures) == (State.QUEUED, 0)
    assert quiz.effects() == []


def test_one_cancelled_job_of_a_batch_leaves_the_others_alone(quiz: Quiz):
    ids = quiz.add([1, 2, 3])

    def method(batch: Batch) -> list[Answer | JobError]:
        with quiz.sessions.begin() as session:
            store.cancel(session, "ann", ids[1])
        quiz.heartbeat.tick()
        for run in batch:
            run.raise_if_cancelled()
        return answer_with_effects(batch)

    quiz.run(method)
    states = [quiz.job(job_id).state for job_id in ids]
    assert states == [State.SUCCEEDED, State.CANCELLED, State.SUCCEEDED]
    assert sorted(number for _, number in quiz.effects()) == [1, 3]


def test_progress_is_published_now_and_then_and_previews_always(quiz: Quiz):
    [job_id] = quiz.add([1])
    picture = "a" * 64

    def method(batch: Batch) -> list[Answer | JobError]:
        for step in range(100):
            batch[0].progress(step / 100, "working", preview=picture if step % 25 == 24 else None)
        return answer_all(batch)

    quiz.run(method)
    entries = quiz.follow(job_id)
    fractions = [entry.data["fraction"] for entry in entries if entry.kind == "preview"]
    assert fractions == [0.24, 0.49, 0.74, 0.99]
    progress = [entry.data for entry in entries if entry.kind == "progress"]
    assert progress[0] == {"fraction": 0.0, "step": "working", "preview": None}
    assert len(progress) <= 20  # of 96, on a machine so slow that they took four seconds


def test_a_beat_records_how_far_the_job_is(quiz: Quiz):
    [job_id] = quiz.add([1])
    seen: list[object] = []

    def method(batch: Batch) -> list[Answer | JobError]:
        for step in range(3):
            batch[0].progress(step / 3, "working")
        quiz.heartbeat.tick()
        seen.append(quiz.job(job_id).progress)
        return answer_all(batch)

    quiz.run(method)
    assert seen == [{"fraction": 0.6667, "step": "working", "preview": None}]
