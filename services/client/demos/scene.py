"""What a demo is: the jobs that show one worker, and the rows they put into a table."""

import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.client.client import Client


class DemoFailed(Exception):
    """A worker did not do what the demo shows; the text says what was missing."""


@dataclass(frozen=True)
class Scene:
    """What a demo works with."""

    client: Client
    files: Path  # holds the pinned files a demo names
    folder: Path  # takes its pictures


@dataclass(frozen=True)
class Row:
    """One finished job in the table of results."""

    what: str
    result: str
    seconds: float


@dataclass(frozen=True)
class Demo:
    """The jobs that show one worker."""

    worker: str
    files: tuple[str, ...]  # pinned files that the jobs and the worker need
    jobs: int
    run: Callable[
        [Scene], Generator[Row, None, None]
    ]  # one row as each job ends; raises DemoFailed


def run_job(
    scene: Scene,
    task: str,
    fields: Mapping[str, Any],
    files: Mapping[str, Path | list[Path]] | None = None,
) -> tuple[dict[str, Any], float]:
    """(the result, seconds it took). Raises DemoFailed."""
    started = time.monotonic()
    client = scene.client
    job = client.submit_files(task, files, fields) if files else client.submit(task, fields)
    job = client.wait(job.id)
    if not job.succeeded:
        raise DemoFailed(f"{task}: {job.reason}")
    return job.result or {}, time.monotonic() - started
