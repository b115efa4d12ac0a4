"""Batches that lock the same rows in another order hold each other up, and lose nothing."""

import threading
from collections.abc import Callable
from functools import partial

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.jobs.machine import State
from tests.workers.runtime.conftest import Answer, Batch, Quiz, answer_all
from workers.runtime.run import JobError

RAISE = "UPDATE notes SET number = number + 1 WHERE job = %s"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_deadlocked_batch_is_written_again(quiz: Quiz, database_url: str):
    """PostgreSQL ends the one that has waited for a second, which is the batch here."""
    ids = quiz.add([1, 2])
    with quiz.sessions.begin() as session:
        session.execute(text("INSERT INTO notes VALUES ('a', 0), ('b', 0)"))
    has_first = threading.Event()
    rival = threading.Thread(target=lock_in_turn, args=[database_url, "b", "a", has_first])

    def count(row: str) -> Callable[[Session], None]:
        def effect(session: Session) -> None:
            raise_number(row, session)
            if row == "a" and not rival.ident:
                rival.start()
                assert has_first.wait(10)

        return effect

    def method(batch: Batch) -> list[Answer | JobError]:
        for run, row in zip(batch, "ab", strict=True):
            run.effects.append(count(row))
        return answer_all(batch)

    quiz.run(method)
    rival.join(10)
    assert quiz.logged("outcome not recorded yet")
    assert [quiz.job(job_id).state for job_id in ids] == [State.SUCCEEDED] * 2
    assert sorted(quiz.effects()) == [("a", 2), ("b", 2)]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_batches_of_several_tenants_are_written_in_one_order(quiz: Quiz, database_url: str):
    """So what each tenant has one row of, such as a quota, makes no deadlock."""
    ids = quiz.add([1], tenant="b") + quiz.add([2], tenant="a")
    with quiz.sessions.begin() as session:
        session.execute(text("INSERT INTO notes VALUES ('a', 0), ('b', 0)"))
    has_first = threading.Event()
    rival = threading.Thread(target=lock_in_turn, args=[database_url, "a", "b", has_first])

    def method(batch: Batch) -> list[Answer | JobError]:
        for run in batch:
            run.effects.append(partial(raise_number, run.tenant))
        rival.start()
        assert has_first.wait(10)
        return answer_all(batch)

    quiz.run(method)
    rival.join(10)
    assert not quiz.logged("outcome not recorded yet")
    assert [quiz.job(job_id).state for job_id in ids] == [State.SUCCEEDED] * 2
    assert sorted(quiz.effects()) == [("a", 2), ("b", 2)]


def raise_number(row: str, session: Session) -> None:
    session.execute(text(RAISE.replace("%s", ":row")), {"row": row})


def lock_in_turn(url: str, first: str, second: str, has_first: threading.Event) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(RAISE, (first,))
        has_first.set()
        # A little later than the batch, so that not this one is ended.
        connection.execute("SELECT pg_sleep(0.5)")
        connection.execute(RAISE, (second,))
