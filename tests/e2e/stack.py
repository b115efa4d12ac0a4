"""The true stack, for tests that break parts of it: every program a real, supervised process."""

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx2
import psutil

from services.local.control import Stack
from services.local.database import prepare_database
from services.local.home import prepare_home
from services.local.programs import Program, Stage, make_worker, plan_programs
from services.local.readiness import ask_gateway
from services.local.stack import name_variables, start_stack
from shared.settings import Settings
from tests.plain_sql import run_sql
from tests.servers import find_free_port

PLUGINS = Path(__file__).parents[1] / "plugins"
PATIENCE = 90.0  # seconds; on a quiet machine everything here takes a few

# So short that a test sees a lost lease in seconds.
SHORT = {
    "lease": 3.0,
    "heartbeat": 1.0,
    "sweep_every": 0.5,
    "resend_after": 2.0,
    "rate_limit": "1000000/second",
    "max_queued": 1_000_000,
}


def wait_for(condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.05)


@dataclass
class Site:
    """A running stack with `mains` workers of one kind, and the means to hurt it."""

    stack: Stack
    database: str
    mains: list[str]  # the programs that are workers
    client: httpx2.Client
    worker: str = "echo"

    def submit(self, task: str, request: dict[str, Any], **headers: str) -> dict[str, Any]:
        """Raises unless the job was accepted."""
        path = "/v1/" + task.replace(".", "/")
        answer = self.client.post(path, json=request, headers=headers)
        assert answer.status_code in (200, 202), answer.text
        job: dict[str, Any] = answer.json()
        return job

    def job(self, job_id: str) -> dict[str, Any]:
        answer = self.client.get(f"/v1/jobs/{job_id}")
        assert answer.status_code == 200, answer.text
        job: dict[str, Any] = answer.json()
        return job

    def finish(self, job_id: str, patience: float = PATIENCE) -> dict[str, Any]:
        """The job once it has ended."""
        wait_for(lambda: self.job(job_id)["finished_at"], f"the end of {job_id}", patience)
        return self.job(job_id)

    def wait_for_workers(self, count: int) -> None:
        def count_alive() -> int:
            answer = ask_gateway(self.stack.address)
            return answer.workers.get(self.worker, 0) if answer else 0

        wait_for(lambda: count_alive() >= count, f"{count} workers")

    def count_unfinished(self) -> int:
        rows = run_sql(self.database, "SELECT count(*) FROM jobs WHERE finished_at IS NULL")
        return int(rows[0][0])

    def drain(self, patience: float = PATIENCE) -> None:
        wait_for(lambda: self.count_unfinished() == 0, "the end of all jobs", patience)

    # Harm

    def children(self, main: str) -> list[int]:
        """The pool processes of a worker; none while it starts or is away."""
        pid = self.stack.pids().get(main)
        try:
            return [child.pid for child in psutil.Process(pid).children()] if pid else []
        except psutil.NoSuchProcess:
            return []

    def kill(self, program: str) -> bool:
        """SIGKILL a program, which its supervisor then starts again; False if it is away."""
        return send(self.stack.pids().get(program, 0), signal.SIGKILL)

    def kill_gateway(self) -> None:
        """Kill gunicorn's processes, both: one alone serves on for some seconds."""
        main = psutil.Process(self.stack.pid("gateway"))
        for process in [main, *main.children()]:
            process.kill()

    def wipe_broker(self) -> None:
        """Kill the broker and let it come back with nothing: its files are gone before it is."""
        shutil.rmtree(self.stack.home / "valkey" / "appendonlydir", ignore_errors=True)
        self.kill("valkey")

    def read_log(self, program: str) -> str:
        return (self.stack.home / "logs" / f"{program}.log").read_text()


def send(pid: int, number: signal.Signals) -> bool:
    """Send a signal; False if there is no such process."""
    if not pid:
        return False
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


@contextmanager
def run_site(home: Path, mains: int = 1, worker: str = "echo", **overrides: Any) -> Iterator[Site]:
    """A stack with short leases, ready; `overrides` are fields of Settings."""
    chosen = {**SHORT, "port": find_free_port(), **overrides, "home": home}
    settings = Settings(**name_variables(chosen))
    prepare_database(settings.database, prepare_home(home))
    run_sql(settings.database, "CREATE TABLE echo_effects (job varchar(32), number integer)")
    names = [f"{worker}-{number}" for number in range(1, mains + 1)]
    with (
        patch.dict(os.environ, {"PYTHONPATH": str(PLUGINS)}),
        start_stack(settings, plan_site(settings, worker, names)) as stack,
    ):
        with httpx2.Client(
            base_url=stack.address,
            headers={"Authorization": f"Bearer {stack.api_key}"},
            timeout=30,
            trust_env=False,
        ) as client:
            site = Site(stack, settings.database, names, client, worker)
            site.wait_for_workers(mains * settings.worker_processes)
            yield site
        stack.stop()


def plan_site(settings: Settings, worker: str, mains: list[str]) -> list[Program]:
    """The programs of `atelier up`, with so many of one worker in the place of all its own."""
    planned = plan_programs(settings, settings.port, embedded_broker=True)
    kept = [program for program in planned if program.stage < Stage.WORKERS]
    return [*kept, *(replace(make_worker(worker), name=name) for name in mains)]
