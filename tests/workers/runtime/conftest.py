"""An executor on a real database, a real broker and real files, with a task made for tests."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text, update
from structlog.testing import capture_logs

from shared.blobs import Blobs
from shared.contract import BlobId, Message, Task
from shared.db import Sessions, db_now
from shared.events import Event, Events
from shared.jobs import store
from shared.settings import Settings
from shared.tables import Job
from tests.rows import make_job
from workers.runtime.executor import Executor
from workers.runtime.heartbeat import Heartbeat
from workers.runtime.run import JobError, Run


class Question(Message):
    number: int
    file: BlobId | None = None


class Answer(Message):
    number: int


ASK = Task(
    "quiz.ask", Question, Answer, "Answer.", example={"number": 1}, max_batch=8, time_limit=5
)

Batch = Sequence[Run[Question]]


def answer_all(batch: Batch) -> list[Answer | JobError]:
    return [Answer(number=run.request.number) for run in batch]


@dataclass
class Quiz:
    """A worker process in this process: its heart beats only when a test says so."""

    executor: Executor
    sessions: Sessions
    heartbeat: Heartbeat
    events: Events
    settings: Settings
    logs: list[Any]
    batches: list[list[int]] = field(default_factory=list)  # the numbers of every call

    def add(self, numbers: Sequence[int], **values: Any) -> list[str]:
        """Announced jobs, claimed in this order; their ids."""
        jobs = [
            make_job(
                task=ASK.name,
                **{
                    "request": {"number": number},
                    "dispatched_at": time.time() + place * 1e-3,
                    **values,
                },
            )
            for place, number in enumerate(numbers)
        ]
        with self.sessions.begin() as session:
            session.add_all(jobs)
        return [job.id for job in jobs]

    def run(self, method: Callable[[Batch], Any] = answer_all, task: Task = ASK) -> int:
        def observed(batch: Batch) -> Any:
            self.batches.append([run.request.number for run in batch])
            return method(batch)

        return self.executor.run_next(task, observed, task.max_batch)

    def job(self, job_id: str) -> Job:
        with self.sessions.read() as session:
            return session.get_one(Job, job_id)

    def change(self, job_id: str, **values: Any) -> None:
        with self.sessions.begin() as session:
            session.execute(update(Job).where(Job.id == job_id).values(**values))

    def take_over(self, job_id: str) -> None:
        """Another worker claims the job, after this one fell silent."""
        with self.sessions.begin() as session:
            session.execute(update(Job).where(Job.id == job_id).values(lease_until=db_now() - 1.0))
            store.expire(session, max_failures=3)
            store.announce(session, [job_id])
        with self.sessions.begin() as session:
            assert [claim.id for claim in store.claim(session, ASK.name, 1, 60.0)] == [job_id]

    def follow(self, job_id: str) -> list[Event]:
        return self.events.read_after(job_id, "")

    def logged(self, what: str) -> bool:
        return any(entry["event"] == what for entry in self.logs)

    def effects(self) -> list[tuple[str, int]]:
        with self.sessions.read() as session:
            return [(row[0], row[1]) for row in session.execute(text("SELECT * FROM notes"))]


def note(job_id: str, number: int) -> Callable[[Any], None]:
    """An effect: a row that a second effect would double."""

    def write(session: Any) -> None:
        session.execute(
            text("INSERT INTO notes VALUES (:job, :number)"), {"job": job_id, "number": number}
        )

    return write


def answer_with_effects(batch: Batch) -> list[Answer | JobError]:
    for run in batch:
        run.effects.append(note(run.job_id, run.request.number))
    return answer_all(batch)


@pytest.fixture
def settings(tmp_path: Path, database_url: str, redis_url: str) -> Settings:
    return Settings(home=tmp_path, DATABASE_URL=database_url, REDIS_URL=redis_url, heartbeat=0.0)


@pytest.fixture
def quiz(settings: Settings, sessions: Sessions) -> Iterator[Quiz]:
    with sessions.begin() as session:
        session.execute(text("CREATE TABLE notes (job varchar(32), number integer)"))
    heartbeat = Heartbeat(settings, sessions, ASK.queue)
    events = Events(settings.redis_url)
    executor = Executor(settings, sessions, Blobs(settings.blobs, sessions), events, heartbeat)
    with capture_logs() as logs:
        yield Quiz(executor, sessions, heartbeat, events, settings, logs)
    events.redis.close()
