"""A stack with one worker, two of its tenants, and what they ask of it."""

import zipfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from threading import Semaphore
from typing import Any

import psutil

from services.client.client import Client
from services.client.job import Job
from services.client.problems import Problem
from services.local.control import Stack
from services.local.stack import running_stack
from shared.db import open_db
from shared.keys import create_key
from shared.settings import Settings, read_settings

PATIENCE = 250.0  # seconds; on a quiet machine every job here takes a few
ASKING, MOST_ASKED = 16, 1000  # at once; times each


@contextmanager
def run_worker(home: Path, worker: str, weights: Path | None = None) -> Iterator[Stack]:
    """The stack of `atelier up` with this worker alone, and the pretrained files of this folder."""
    weights = weights or read_settings().weights
    with running_stack({"home": home, "workers": worker, "weights_dir": weights}) as stack:
        yield stack


@contextmanager
def open_clients(stack: Stack) -> Iterator[tuple[Client, Client]]:
    """Of the tenant who owns the stack, and of another one."""
    sessions = open_db(Settings(home=stack.home).database)
    with sessions.begin() as session:
        other = create_key(session, "other", "test", ["*"])
    sessions.engine.dispose()
    with Client(stack.address, stack.api_key) as own, Client(stack.address, other) as foreign:
        yield own, foreign


def list_pids(stack: Stack, *programs: str) -> set[int]:
    """The process ids of programs that are workers, and of their pools."""
    mains = [psutil.Process(stack.pid(program)) for program in programs]
    return {one.pid for main in mains for one in (main, *main.children())}


def finish(client: Client, job: Job) -> dict[str, Any]:
    """The result of a job that has to succeed."""
    ended = client.wait(job.id, timeout=PATIENCE)
    assert ended.succeeded, ended.reason
    return ended.result or {}


def do(client: Client, task: str, **request: Any) -> dict[str, Any]:
    return finish(client, client.submit(task, request))


def fail(client: Client, task: str, **request: Any) -> tuple[str, str]:
    """(type or code, detail) of why a request is refused or its job fails."""
    try:
        submitted = client.submit(task, request)
    except Problem as problem:
        return name_problem(problem)
    job = client.wait(submitted.id, timeout=PATIENCE)
    assert job.state == "failed", job.result
    assert job.error
    return job.error["code"], job.error["detail"]


def name_problem(problem: Problem) -> tuple[str, str]:
    """(type, detail), of what is the client's fault."""
    assert 400 <= problem.status < 500, problem
    return problem.type.split(":")[-1], f"{problem.detail} {problem.extra}"


def change_in_flight(
    ask: Callable[[], str], change: Callable[[], None], before: str, after: str
) -> None:
    """Several keep asking which model answers, from before a change until the new one does."""
    answered = Semaphore(0)

    def ask_until_changed() -> list[str]:
        names = [ask()]
        answered.release()
        while names[-1] != after and len(names) < MOST_ASKED:
            names.append(ask())
        return names

    with ThreadPoolExecutor(ASKING) as pool:
        asked = [pool.submit(ask_until_changed) for _ in range(ASKING)]
        assert all(answered.acquire(timeout=PATIENCE) for _ in range(ASKING))
        change()
        for one in asked:
            names = one.result()
            assert (names[0], names[-1], set(names)) == (before, after, {before, after})


def pack(files: Mapping[str, bytes | str]) -> bytes:
    """A zip of files by their path."""
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return packed.getvalue()


def pack_folder(folder: Path) -> bytes:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return pack({str(path.relative_to(folder)): path.read_bytes() for path in paths})
