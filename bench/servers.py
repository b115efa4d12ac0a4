"""Starts each server that is measured, and knows how to ask it for one job."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import httpx2
import psutil

from bench.measure import Ask
from bench.pictures import MODEL, renew
from services.local.stack import running_stack
from shared.settings import read_settings
from tests.servers import find_free_port, run_valkey

ROOT = Path(__file__).parents[1]
PEERS = ROOT / ".venv-bench" / "bin"  # `make bench` makes it
START_LIMIT = 90.0  # seconds
POLL = 0.01  # seconds between two looks of the naive client
WAIT = 60  # seconds of `Prefer: wait`


@dataclass(frozen=True)
class Server:
    """A running server; `programs` maps names to process ids, `asks` job names to one job."""

    address: str
    programs: Mapping[str, int]
    asks: Mapping[str, Ask]


class Pictures:
    """An endless supply, shared by the threads of the clients."""

    def __init__(self, pictures: Sequence[bytes]) -> None:
        self._next = cycle(pictures)  # next() of a C iterator is atomic

    def form(self) -> dict[str, tuple[str, bytes, str]]:
        """A file part; every server stores or forwards it as one it has not seen before."""
        return {"picture": ("photo.jpg", renew(next(self._next)), "image/jpeg")}


@contextmanager
def run_atelier(pictures: Pictures, home: Path) -> Iterator[Server]:
    """The embedded stack as shipped, with the detect worker and the echo worker of the tests."""
    changes = {
        "home": home,
        "weights_dir": read_settings().weights.resolve(),
        "workers": "detect,echo",
        "device": "cpu",
        "log_level": "warning",
    }
    with running_stack(changes) as stack:
        headers = {"Authorization": f"Bearer {stack.api_key}", "Prefer": f"wait={WAIT}"}

        def finish(answer: httpx2.Response) -> None:
            if answer.status_code != 200 or answer.json()["state"] != "succeeded":
                raise RuntimeError(f"{answer.status_code}: {answer.text[:200]}")

        def say(http: httpx2.Client) -> None:
            finish(http.post("/v1/echo/say", json={"text": "hello"}, headers=headers))

        def detect(http: httpx2.Client) -> None:
            path, fields = "/v1/detect/objects", {"model": MODEL}
            finish(http.post(path, data=fields, files=pictures.form(), headers=headers))

        yield Server(stack.address, stack.pids(), {"say": say, "detect": detect})


@contextmanager
def run_naive(pictures: Pictures, home: Path) -> Iterator[Server]:
    """Flask and Celery with one process each, and a Valkey of their own."""
    port = find_free_port()
    with ExitStack() as stack:
        valkey = stack.enter_context(run_valkey())
        assert valkey.process is not None
        environment = {"NAIVE_REDIS": valkey.url}
        web = ["-m", "gunicorn", "--threads", "40", "--bind", f"127.0.0.1:{port}"]
        work = ["-m", "celery", "-A", "bench.peers.naive:celery", "worker"]
        programs = {
            "valkey": valkey.process.pid,
            "gunicorn": stack.enter_context(
                run_program([sys.executable, *web, "bench.peers.naive:app"], home, environment)
            ),
            "celery": stack.enter_context(
                run_program(
                    [sys.executable, *work, "--concurrency=1", "--loglevel=warning"],
                    home,
                    environment,
                )
            ),
        }
        yield Server(
            f"http://127.0.0.1:{port}",
            programs,
            {
                "say": lambda http: _poll(http, http.post("/say", json={"text": "hello"})),
                "detect": lambda http: _poll(http, http.post("/detect", files=pictures.form())),
            },
        )


def _poll(http: httpx2.Client, answer: httpx2.Response) -> None:
    job_id = answer.raise_for_status().json()["id"]
    while (state := http.get(f"/jobs/{job_id}").raise_for_status().json()["state"]) == "PENDING":
        time.sleep(POLL)
    if state != "SUCCESS":
        raise RuntimeError(f"The task ended as {state}.")


@contextmanager
def run_litserve(pictures: Pictures, home: Path) -> Iterator[Server]:
    port = find_free_port()
    command = [str(PEERS / "python"), "-m", "bench.peers.litserve_app", str(port)]
    with run_program(command, home, {}) as pid:
        yield make_peer("litserve", port, pid, pictures)


@contextmanager
def run_bentoml(pictures: Pictures, home: Path) -> Iterator[Server]:
    port = find_free_port()
    command = [
        *(str(PEERS / "python"), "-m", "bentoml", "serve", "bench.peers.bentoml_app:Detect"),
        *("--host", "127.0.0.1", "--port", str(port)),
    ]
    environment = {"BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(home)}
    with run_program(command, home, environment) as pid:
        yield make_peer("bentoml", port, pid, pictures)


def make_peer(name: str, port: int, pid: int, pictures: Pictures) -> Server:
    def detect(http: httpx2.Client) -> None:
        answer = http.post("/predict", files=pictures.form()).raise_for_status().json()
        if not (answer[0] if isinstance(answer, list) else answer)["width"]:
            raise RuntimeError(f"{name} answered {answer}")

    return Server(f"http://127.0.0.1:{port}", {name: pid}, {"detect": detect})


@contextmanager
def run_program(
    command: Sequence[str], home: Path, environment: Mapping[str, str]
) -> Iterator[int]:
    """A program started from the checkout; it and all it started are stopped afterwards."""
    with (home / f"{Path(command[2]).name}.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for this process, which stops the program
        )
    try:
        yield process.pid
    finally:
        tree = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        process.terminate()
        _, alive = psutil.wait_procs(tree, timeout=15)
        for survivor in alive:
            survivor.kill()
        process.wait()


SERVERS: Mapping[str, Callable[[Pictures, Path], AbstractContextManager[Server]]] = {
    "atelier": run_atelier,
    "naive": run_naive,
    "litserve": run_litserve,
    "bentoml": run_bentoml,
}


@contextmanager
def run_server(name: str, pictures: Pictures) -> Iterator[Server]:
    """A server that has answered every kind of job once. Raises RuntimeError if it does not."""
    if name in ("litserve", "bentoml") and not PEERS.exists():
        raise SystemExit(f"{PEERS.parent} is missing: `make bench NAME=...` makes it.")
    with (
        tempfile.TemporaryDirectory(prefix="atelier-bench-") as folder,
        SERVERS[name](pictures, Path(folder)) as server,
    ):
        try:
            for ask in server.asks.values():
                _await_answer(ask, server.address)
        except RuntimeError as error:
            logs = [path.read_text()[-2000:] for path in sorted(Path(folder).glob("*.log"))]
            raise RuntimeError("\n".join([f"{name} did not start: {error}", *logs])) from error
        yield server


def _await_answer(ask: Ask, address: str) -> None:
    deadline = time.monotonic() + START_LIMIT
    with httpx2.Client(base_url=address, timeout=START_LIMIT, trust_env=False) as http:
        while True:
            try:
                return ask(http)
            except (httpx2.HTTPError, RuntimeError) as error:
                if time.monotonic() > deadline:
                    raise RuntimeError(repr(error)) from error
                time.sleep(0.2)
