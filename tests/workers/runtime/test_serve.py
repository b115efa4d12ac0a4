"""A real worker process: how it ends, what it survives, and what becomes of its jobs."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import func, select, text

from shared.db import Sessions
from shared.jobs.machine import TERMINAL, State
from shared.tables import Job, WorkerProcess
from tests.rows import make_job
from tests.servers import Valkey, run_valkey

ROOT = Path(__file__).parents[3]
PATIENCE = 60.0  # seconds; on a quiet machine everything here takes a few


def wait_for(condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.05)


@dataclass
class Site:
    """A database, a broker, and the processes that a test starts."""

    sessions: Sessions
    environment: dict[str, str]
    log: Path
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, *command: str, **environment: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *command],
                env={**os.environ, **self.environment, **environment},
                cwd=ROOT,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a child that outlives its parent is found by its group
            )
        self.started.append(process)
        return process

    def start_worker(self, **environment: str) -> subprocess.Popen[bytes]:
        count = self.count_processes()
        worker = self.start("workers.runtime", "echo", **environment)
        wait_for(lambda: self.count_processes() > count, "the worker")
        return worker

    def end_all(self) -> None:
        for process in self.started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def count_processes(self) -> int:
        with self.sessions.read() as session:
            return session.scalar(select(func.count()).select_from(WorkerProcess)) or 0

    def add(self, task: str, requests: Sequence[dict[str, Any]]) -> list[str]:
        """Waiting jobs, all at once, so that a worker can claim them together."""
        jobs = [make_job(task=task, request=request) for request in requests]
        with self.sessions.begin() as session:
            session.add_all(jobs)
        return [job.id for job in jobs]

    def job(self, job_id: str) -> Job:
        with self.sessions.read() as session:
            return session.get_one(Job, job_id)

    def wait_for_state(self, job_ids: Sequence[str], *states: State) -> list[Job]:
        wait_for(
            lambda: all(self.job(job_id).state in states for job_id in job_ids),
            f"{states} in\n{self.log.read_text()}",
        )
        return [self.job(job_id) for job_id in job_ids]

    def finish(self, job_ids: Sequence[str]) -> list[Job]:
        return self.wait_for_state(job_ids, *TERMINAL)


@pytest.fixture
def site(sessions: Sessions, database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Site]:
    with sessions.begin() as session:
        session.execute(text("CREATE TABLE echo_effects (job varchar(32), number integer)"))
    site = Site(
        sessions,
        {
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests" / "plugins")]),
            "ATELIER_HOME": str(tmp_path / "home"),
            "ATELIER_LEASE": "3",
            "ATELIER_HEARTBEAT": "1",
            "ATELIER_SWEEP_EVERY": "0.5",
            "ATELIER_RESEND_AFTER": "2",
        },
        tmp_path / "log",
    )
    try:
        yield site
    finally:
        site.end_all()


@pytest.fixture
def relay(site: Site) -> subprocess.Popen[bytes]:
    return site.start("services.relay")


SLEEP = {"act": "sleep", "seconds": 0.1}
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def end(process: subprocess.Popen[bytes]) -> float:
    """Ask it to end; seconds that it took. Its children end with it."""
    children = psutil.Process(process.pid).children(recursive=True)
    started = time.monotonic()
    process.terminate()
    assert process.wait(PATIENCE) == 0
    seconds = time.monotonic() - started
    _, alive = psutil.wait_procs(children, timeout=2)
    assert alive == []
    return seconds


@on_sqlite
@pytest.mark.usefixtures("relay")
def test_sigterm_hands_back_what_reports_progress_and_ends_in_time(site: Site):
    worker = site.start_worker()
    ids = site.add("echo.act", [{"act": "sleep", "seconds": 0.9}] * 2)
    site.wait_for_state(ids, State.RUNNING)
    assert end(worker) < 15
    for job in (site.job(job_id) for job_id in ids):
        assert (job.state, job.failures) == (State.QUEUED, 0)
    assert site.count_processes() == 0
    site.start_worker()
    assert {job.state for job in site.finish(ids)} == {State.SUCCEEDED}


@on_sqlite
@pytest.mark.usefixtures("relay")
def test_sigterm_waits_for_a_method_that_does_not_report(site: Site):
    """The method holds the interpreter, so nothing can interrupt it."""
    worker = site.start_worker()
    [job_id] = site.add("echo.act", [{"act": "hang", "seconds": 1.5}])
    site.wait_for_state([job_id], State.RUNNING)
    assert end(worker) < 15
    job = site.job(job_id)
    assert (job.state, job.failures) == (State.SUCCEEDED, 0)


@on_sqlite
def test_sigterm_ends_a_worker_whose_broker_is_gone(site: Site):
    with run_valkey() as broker:
        worker = site.start_worker(REDIS_URL=broker.url)
        broker.stop()
        time.sleep(1)
        assert end(worker) < 15


@pytest.mark.usefixtures("relay")
def test_a_job_that_kills_its_worker_fails_after_three_and_takes_no_other_with_it(site: Site):
    ids = site.add("echo.act", [SLEEP, {"act": "crash"}, SLEEP, SLEEP])
    worker = site.start_worker()
    *good, poison = site.finish([ids[0], ids[2], ids[3], ids[1]])
    assert (poison.state, poison.error_code) == (State.FAILED, "worker_lost")
    assert poison.failures == 3
    for job in good:
        assert (job.state, job.error_code) == (State.SUCCEEDED, None)
        assert job.failures <= 1
    assert worker.poll() is None  # only its child died, and was replaced


@on_sqlite
@pytest.mark.usefixtures("relay")
def test_a_memory_error_costs_neither_the_worker_nor_its_child(site: Site):
    worker = site.start_worker()
    before = psutil.Process(worker.pid).children()
    ids = site.add("echo.act", [{"act": "memory"}, SLEEP] * 2)
    jobs = site.finish(ids)
    assert [job.error_code for job in jobs] == ["too_large", None] * 2
    assert psutil.Process(worker.pid).children() == before
    assert site.finish(site.add("echo.say", [{"text": "still here"}]))[0].state == State.SUCCEEDED


@on_sqlite
@pytest.mark.usefixtures("relay")
@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_a_worker_works_with_either_way_to_start_its_processes(site: Site, start: str):
    worker = site.start_worker(ATELIER_POOL_START=start, ATELIER_WORKER_PROCESSES="2")
    wait_for(lambda: site.count_processes() == 2, "two processes")
    assert site.log.read_text().count('"event": "worker ready"') == 2  # JSON
    ids = site.add("echo.count", [{"number": number} for number in range(40)])
    assert {job.state for job in site.finish(ids)} == {State.SUCCEEDED}
    [crash] = site.add("echo.act", [{"act": "crash"}])
    assert site.finish([crash])[0].error_code == "worker_lost"
    [after] = site.add("echo.say", [{"text": "again"}])
    assert site.finish([after])[0].state == State.SUCCEEDED
    assert end(worker) < 15


@on_sqlite
@pytest.mark.usefixtures("relay")
def test_a_worker_finds_its_way_back_to_a_broker_that_lost_everything(site: Site, valkey: Valkey):
    site.start_worker()
    [first] = site.add("echo.say", [{"text": "before"}])
    site.finish([first])
    valkey.stop()
    ids = site.add("echo.say", [{"text": "meanwhile"}] * 5)
    time.sleep(2)
    valkey.start()
    assert {job.state for job in site.finish(ids)} == {State.SUCCEEDED}


@pytest.mark.usefixtures("relay")
@on_sqlite
def test_a_worker_whose_broker_went_away_while_it_worked_asks_for_more_work(
    site: Site, valkey: Valkey
):
    """The message in hand could not be acknowledged, and must not count as in hand for ever."""
    site.start_worker()
    [first] = site.add("echo.act", [{"act": "sleep", "seconds": 1.5}])
    site.wait_for_state([first], State.RUNNING)
    valkey.stop()
    site.finish([first])
    time.sleep(1)
    valkey.start()
    ids = site.add("echo.say", [{"text": "later"}] * 5)
    assert {job.state for job in site.finish(ids)} == {State.SUCCEEDED}


def test_a_worker_without_a_name_says_how_to_start_one():
    done = subprocess.run(
        [sys.executable, "-m", "workers.runtime"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "python -m workers.runtime NAME" in done.stderr
