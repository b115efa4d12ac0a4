"""The real processes on real ports: gunicorn, the relay and the echo worker."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx2
from sqlalchemy import text

from shared.db import Sessions, migrate, open_db
from shared.events import Events
from shared.keys import create_key
from tests.servers import find_free_port, run_valkey

ROOT = Path(__file__).parents[3]
STREAMS = 3  # event streams that may be open at once
START_SECONDS, STOP_SECONDS = 60.0, 20.0


@dataclass
class Live:
    url: str
    key: str
    sessions: Sessions
    events: Events

    def open(self) -> httpx2.Client:
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx2.Client(base_url=self.url, headers=headers, timeout=30)


@contextmanager
def run_live(home: Path) -> Iterator[Live]:
    port = find_free_port()
    with run_valkey() as broker:
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT / "tests/plugins"),
            "ATELIER_HOME": str(home),
            "ATELIER_PORT": str(port),
            "ATELIER_MAX_STREAMS": str(STREAMS),
            "ATELIER_MAX_WAIT": "2",
            "ATELIER_MAX_BODY": "1000000",
            "ATELIER_RATE_LIMIT": "100000/second",
            "ATELIER_LOG_LEVEL": "warning",
            "REDIS_URL": broker.url,
        }
        sessions, key = _prepare(home)
        with (home / "live.log").open("wb") as log:
            processes = [
                subprocess.Popen(
                    [sys.executable, "-m", *command],
                    env=environment,
                    cwd=ROOT,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
                for command in (
                    ["gunicorn", "-c", "services/gateway/gunicorn.conf.py", _APP],
                    ["services.relay"],
                    ["workers.runtime", "echo"],
                )
            ]
            try:
                live = Live(f"http://127.0.0.1:{port}", key, sessions, Events(broker.url))
                _wait_for_worker(live, home / "live.log")
                yield live
            finally:
                _stop(processes)
                sessions.engine.dispose()


_APP = "services.gateway.app:create_app()"


def _prepare(home: Path) -> tuple[Sessions, str]:
    url = f"sqlite:///{home}/atelier.db"
    migrate(url)
    sessions = open_db(url)
    with sessions.begin() as session:
        session.execute(text("CREATE TABLE echo_effects (job VARCHAR(32), number INTEGER)"))
        return sessions, create_key(session, "ann", "live", ["*"])


def _wait_for_worker(live: Live, log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    with live.open() as client:
        while time.monotonic() < until:
            try:
                if client.get("/readyz").json()["workers"].get("echo"):
                    return
            except httpx2.TransportError:
                pass  # not listening yet
            time.sleep(0.1)
    raise RuntimeError(log.read_text())


def _stop(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    until = time.monotonic() + STOP_SECONDS
    for process in processes:
        with suppress(subprocess.TimeoutExpired):  # a job that hangs
            process.wait(max(0.1, until - time.monotonic()))
        with suppress(ProcessLookupError):  # every process of the group has ended
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
