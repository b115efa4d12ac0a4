"""Jobs of minutes have processes of their own, so that the others need not wait for them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from services.local.programs import list_queues
from shared.db import Sessions, open_db
from shared.jobs.machine import TERMINAL
from shared.tables import Job, WorkerProcess
from tests.rows import make_job

ROOT = Path(__file__).parents[3]
PATIENCE = 60.0  # seconds

CONTRACT = '''
from shared.contract import Message, Task

class Request(Message):
    """Nothing to say."""

class Result(Message):
    queue: str

ASK = Task("slow.ask", Request, Result, "Ask.", example={})
TOIL = Task("slow.toil", Request, Result, "Toil.", example={}, long=True)
TASKS = [ASK, TOIL]
'''
WORKER = """
from shared.settings import Settings
from workers.runtime.serve import serve
from workers.slow.contract import ASK, TOIL, Result

class Slow:
    def __init__(self, settings: Settings) -> None:
        self.queue = settings.queue

    def ask(self, batch):
        return [Result(queue=self.queue) for _ in batch]

app = serve("slow", Slow, {ASK: Slow.ask, TOIL: Slow.ask})
"""


@pytest.fixture
def environment(tmp_path: Path, sqlite_database_url: str, redis_url: str) -> dict[str, str]:
    """Of processes that know a worker named slow."""
    folder = tmp_path / "plugins" / "workers" / "slow"
    folder.mkdir(parents=True)
    for name, source in {"__init__": "", "contract": CONTRACT, "worker": WORKER}.items():
        (folder / f"{name}.py").write_text(source)
    return {
        **os.environ,
        "DATABASE_URL": sqlite_database_url,
        "REDIS_URL": redis_url,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder.parents[1])]),
        "ATELIER_HOME": str(tmp_path / "home"),
        "ATELIER_SWEEP_EVERY": "0.5",
    }


@pytest.fixture
def database(environment: dict[str, str]) -> Iterator[Sessions]:
    """With a relay, and a process of each of the worker's queues."""
    commands = [["services.relay"], ["workers.runtime", "slow"], ["workers.runtime", "slow-long"]]
    running = [
        subprocess.Popen(
            [sys.executable, "-m", *command], env=environment, cwd=ROOT, start_new_session=True
        )
        for command in commands
    ]
    sessions = open_db(environment["DATABASE_URL"])
    try:
        yield sessions
    finally:
        for process in running:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        sessions.engine.dispose()


def test_a_long_job_runs_in_a_process_of_another_queue(database: Sessions):
    [toil, *asks] = [make_job(task=f"slow.{name}") for name in ("toil", "ask", "ask")]
    with database.begin() as session:
        session.add_all([toil, *asks])
    deadline, jobs = time.monotonic() + PATIENCE, {}
    while not (jobs and all(job.state in TERMINAL for job in jobs.values())):
        assert time.monotonic() < deadline
        time.sleep(0.05)
        with database.read() as session:
            jobs = {job.id: job for job in session.scalars(select(Job))}
            queues = session.scalars(
                select(WorkerProcess.queue).order_by(WorkerProcess.queue)
            ).all()
    assert queues == ["slow", "slow-long"]
    assert jobs[toil.id].result == {"queue": "slow-long"}
    assert [jobs[job.id].result for job in asks] == [{"queue": "slow"}] * 2


def test_a_worker_with_long_tasks_has_a_program_for_them():
    assert list_queues("faces") == ["faces", "faces-long"]
    assert list_queues("detect") == ["detect", "detect-long"]
    assert set(list_queues("")) >= {"detect", "faces", "faces-long"}
