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

from shared.jobs.machine import State
from shared.tables import Job
from tests.workers.runtime.conftest import (
    Answer,
    Batch,
    Quiz,
    answer_all,
    answer_with_effects,
    note,
)
from workers.runtime import executor
from workers.runtime.run import InvalidInput, JobError


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


def test_what_an_error_quotes_is_shortened_and_has_no_control_characters(quiz: Quiz):
    [job_id] = quiz.add([1])

    def refuse(_: Batch) -> list[Answer | JobError]:
        return [InvalidInput("a\x00b\x1b[2J\ud800\nc\u00e9 " + "x" * 10_000)]

    quiz.run(refuse)
    detail = quiz.job(job_id).error_detail
    assert detail is not None
    assert detail.startswith("ab[2J\nc\u00e9 xxx")
    assert detail.endswith("xxx...")
    assert len(detail) <= 2000
    assert quiz.follow(job_id)[-1].data["error"]["detail"] == detail


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
