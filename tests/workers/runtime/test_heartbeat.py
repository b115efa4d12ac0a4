"""A worker's heart keeps its claims, hears orders, and ends a process that is of no use."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from shared.db import db_now
from shared.jobs import store
from shared.tables import WorkerProcess
from tests.workers.runtime.conftest import ASK, Quiz
from tests.workers.runtime.test_executor_outcomes import be_impatient, locked

ROOT = Path(__file__).parents[3]


def claim(quiz: Quiz, count: int = 1, lease: float = 5.0) -> list[store.Claim]:
    quiz.add(range(count))
    with quiz.sessions.begin() as session:
        return store.claim(session, ASK.name, count, lease)


def seconds_left(quiz: Quiz, job_id: str) -> float:
    with quiz.sessions.read() as session:
        now = session.scalar(select(db_now()))
    lease = quiz.job(job_id).lease_until
    assert lease is not None
    assert now is not None
    return lease - now


def test_a_beat_extends_the_lease_of_what_is_held(quiz: Quiz):
    held, dropped = claim(quiz, 2)
    quiz.heartbeat.hold([held, dropped])
    quiz.heartbeat.drop([dropped])
    quiz.heartbeat.tick()
    assert seconds_left(quiz, held.id) > 20  # the lease of the settings is 30 s
    assert seconds_left(quiz, dropped.id) <= 5


def test_a_beat_does_not_extend_a_lease_that_belongs_to_another(quiz: Quiz):
    [old] = claim(quiz)
    quiz.heartbeat.hold([old])
    quiz.take_over(old.id)
    before = quiz.job(old.id).lease_until
    quiz.heartbeat.tick()
    assert quiz.job(old.id).lease_until == before
    assert quiz.heartbeat.order(old.id) == "lost"


def test_the_beat_is_as_slow_as_the_settings_say(quiz: Quiz):
    quiz.settings.heartbeat = 60.0
    first, second = claim(quiz, 2)
    quiz.heartbeat.hold([first])
    quiz.heartbeat.tick()
    quiz.heartbeat.hold([second])
    quiz.heartbeat.tick()
    assert seconds_left(quiz, first.id) > 20
    assert seconds_left(quiz, second.id) <= 5


def test_orders_are_read_from_the_job(quiz: Quiz):
    going, cancelled, late, gone = claim(quiz, 4)
    quiz.heartbeat.hold([going, cancelled, late, gone])
    with quiz.sessions.begin() as session:
        store.cancel(session, "ann", cancelled.id)
    quiz.change(late.id, deadline_at=db_now())
    quiz.change(gone.id, fence=gone.fence + 1)
    quiz.heartbeat.tick()
    orders = [quiz.heartbeat.order(job.id) for job in (going, cancelled, late, gone)]
    assert orders == [None, "cancel", "late", "lost"]


def test_a_planned_stop_is_an_order_to_every_job(quiz: Quiz):
    going, cancelled = claim(quiz, 2)
    quiz.heartbeat.hold([going, cancelled])
    with quiz.sessions.begin() as session:
        store.cancel(session, "ann", cancelled.id)
    quiz.heartbeat.stopping.set()
    quiz.heartbeat.tick()
    assert quiz.heartbeat.order(going.id) == "stop"
    assert quiz.heartbeat.order(cancelled.id) == "cancel"


def test_a_process_is_counted_from_its_first_beat_to_its_planned_end(quiz: Quiz):
    def count() -> list[tuple[str, str]]:
        with quiz.sessions.read() as session:
            return [(row.id, row.queue) for row in session.scalars(select(WorkerProcess))]

    assert count() == []
    quiz.heartbeat.tick()
    quiz.heartbeat.tick()
    assert count() == [(quiz.heartbeat.process, ASK.queue)]
    assert str(os.getpid()) in quiz.heartbeat.process
    assert (quiz.settings.home / "quiz.alive").exists()
    quiz.heartbeat.leave()
    assert count() == []


def test_a_process_shows_itself_while_the_rows_of_its_jobs_are_locked(
    quiz: Quiz, database_url: str
):
    [held] = claim(quiz)
    quiz.heartbeat.hold([held])
    be_impatient(quiz)
    with locked(database_url, held.id), pytest.raises(OperationalError):
        quiz.heartbeat.tick()
    assert (quiz.settings.home / "quiz.alive").exists()
    with quiz.sessions.read() as session:
        counted = session.scalar(select(func.count()).select_from(WorkerProcess))
    assert counted == (0 if database_url.startswith("sqlite") else 1)  # SQLite locks all rows
    quiz.heartbeat.tick()
    assert seconds_left(quiz, held.id) > 20


@pytest.mark.parametrize(
    ("case", "status"), [("stuck", -signal.SIGKILL), ("orphan", 0), ("broken", 0), ("full", 0)]
)
def test_a_real_heart(case: str, status: int, tmp_path: Path):
    """A stuck call and a lost parent end the process; no disk or memory for a while does not.

    An orphan keeps the pipe of its output open: the run is over when it, too, has ended.
    """
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("heart.py"), case, tmp_path],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == status, done.stderr
    assert ("heartbeat failed" in done.stdout) == (case in ("broken", "full"))
