"""Outcome and effects are one transaction, which a lost claim cannot commit."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg
import pytest
from sqlalchemy import event, text
from sqlalchemy.orm import Session

from shared.db import db_now
from shared.jobs import store
from shared.jobs.machine import State
from shared.tables import Job
from tests.workers.runtime.conftest import Answer, Batch, Quiz, answer_all, note
from workers.runtime import executor
from workers.runtime.run import InvalidInput, JobError


def answer_with_effects(batch: Batch) -> list[Answer | JobError]:
    for run in batch:
        run.effects.append(note(run.job_id, run.request.number))
    return answer_all(batch)


def test_effects_are_committed_with_the_outcome(quiz: Quiz):
    ids = quiz.add([1, 2])
    quiz.run(answer_with_effects)
    assert sorted(quiz.effects()) == sorted(zip(ids, [1, 2], strict=True))


def test_an_effect_sees_its_job_finished_and_nobody_else_does_before(quiz: Quiz):
    [job_id] = quiz.add([1])
    seen: list[str] = []

    def look(session: Session) -> None:
        seen.append(session.get_one(Job, job_id).state)
        seen.append(quiz.job(job_id).state)

    def method(batch: Batch) -> list[Answer | JobError]:
        batch[0].effects.append(look)
        return answer_all(batch)

    quiz.run(method)
    assert seen == [State.SUCCEEDED, State.RUNNING]


@pytest.mark.parametrize(
    ("error", "code"),
    [(InvalidInput("Already enrolled."), "invalid_input"), (ValueError("full"), "worker_error")],
)
def test_a_refused_effect_fails_its_job_alone_and_leaves_nothing(
    quiz: Quiz, error: Exception, code: str
):
    ids = quiz.add([1, 2, 3])

    def refuse(_: Session) -> None:
        raise error

    def method(batch: Batch) -> list[Answer | JobError]:
        for run in batch:
            run.effects.append(note(run.job_id, run.request.number))
            if run.request.number == 2:
                run.effects.append(refuse)
        return answer_all(batch)

    quiz.run(method)
    assert [quiz.job(job_id).error_code for job_id in ids] == [None, code, None]
    assert quiz.job(ids[1]).result is None
    assert sorted(number for _, number in quiz.effects()) == [1, 3]


def test_an_effect_the_database_refuses_fails_its_job_alone(quiz: Quiz):
    ids = quiz.add([1, 2])
    with quiz.sessions.begin() as session:
        session.execute(text("CREATE UNIQUE INDEX one_note ON notes (number)"))
        session.execute(text("INSERT INTO notes VALUES ('earlier', 2)"))
    quiz.run(answer_with_effects)
    assert [quiz.job(job_id).error_code for job_id in ids] == [None, "worker_error"]
    assert sorted(quiz.effects()) == sorted([(ids[0], 1), ("earlier", 2)])


def test_an_outcome_the_database_refuses_fails_its_job_alone(quiz: Quiz):
    ids = quiz.add([1, 2])

    def method(batch: Batch) -> list[Answer | JobError]:
        bad = InvalidInput("a\0b")  # PostgreSQL has no text with a NUL in it
        return [bad if run.job_id == ids[0] else Answer(number=2) for run in batch]

    quiz.run(method)
    assert quiz.job(ids[0]).state == State.FAILED
    assert quiz.job(ids[1]).state == State.SUCCEEDED


def test_a_stale_claim_writes_neither_outcome_nor_effects(quiz: Quiz):
    [lost, kept] = quiz.add([1, 2])

    def method(batch: Batch) -> list[Answer | JobError]:
        quiz.take_over(lost)
        return answer_with_effects(batch)

    quiz.run(method)
    job = quiz.job(lost)
    assert (job.state, job.result, job.fence, job.failures) == (State.RUNNING, None, 2, 1)
    assert quiz.job(kept).state == State.SUCCEEDED
    assert quiz.effects() == [(kept, 2)]
    assert quiz.logged("late outcome discarded")
    assert [entry.kind for entry in quiz.follow(lost)] == ["running"]


def test_a_job_finished_by_another_stays_as_it_is(quiz: Quiz):
    [job_id] = quiz.add([1])

    def method(batch: Batch) -> list[Answer | JobError]:
        quiz.change(job_id, state=State.FAILED, error_code="worker_lost", finished_at=1.0)
        return answer_with_effects(batch)

    quiz.run(method)
    job = quiz.job(job_id)
    assert (job.state, job.error_code, job.finished_at) == (State.FAILED, "worker_lost", 1.0)
    assert quiz.effects() == []


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


@contextmanager
def locked(url: str, job_id: str) -> Iterator[None]:
    """Keep others from writing the job's row."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            yield
            db.execute("ROLLBACK")
    else:
        with psycopg.connect(url) as connection:
            connection.execute("SELECT id FROM jobs WHERE id = %s FOR UPDATE", (job_id,))
            yield


def be_impatient(quiz: Quiz) -> None:
    """Wait a tenth of a second for a lock, not ten."""
    engine = quiz.sessions.engine
    sqlite = engine.dialect.name == "sqlite"
    statement = "PRAGMA busy_timeout = 100" if sqlite else "SET lock_timeout = '100ms'"

    @event.listens_for(engine, "checkout")
    def shorten(connection: Any, *_: Any) -> None:
        connection.execute(statement)
        connection.commit()


def test_an_outcome_waits_for_a_locked_database(quiz: Quiz, database_url: str):
    [job_id] = quiz.add([1])
    be_impatient(quiz)
    held, freed = threading.Event(), threading.Event()

    def hold() -> None:
        with locked(database_url, job_id):
            held.set()
            while not quiz.logged("outcome not recorded yet"):
                time.sleep(0.01)
            freed.set()

    blocker = threading.Thread(target=hold)

    def method(batch: Batch) -> list[Answer | JobError]:
        blocker.start()
        assert held.wait(5)
        return answer_with_effects(batch)

    quiz.run(method)
    assert freed.is_set()
    blocker.join()
    assert quiz.job(job_id).state == State.SUCCEEDED
    assert quiz.effects() == [(job_id, 1)]


def test_an_outcome_that_cannot_be_recorded_is_given_up_after_a_while(
    quiz: Quiz, monkeypatch: pytest.MonkeyPatch
):
    [job_id] = quiz.add([1])
    monkeypatch.setattr(executor, "RECORD_FOR", 0.0)

    def method(batch: Batch) -> list[Answer | JobError]:
        batch[0].effects.append(break_connection)
        return answer_all(batch)

    with pytest.raises(executor.OperationalError):
        quiz.run(method)
    assert quiz.job(job_id).state == State.RUNNING  # the lease decides
    assert quiz.heartbeat.order(job_id) == "lost"


def break_connection(_: Session) -> None:
    raise executor.OperationalError("COMMIT", {}, Exception("the server went away"))
