"""What a demo is: the jobs that show one worker, and the rows they put into a table."""

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from services.client.client import Client
from services.client.job import Job, JobEvent

PATIENCE = 10.0  # seconds for a job that undoes another


class DemoFailed(Exception):
    """A worker did not do what the demo shows; the text says what was missing."""


@dataclass(frozen=True)
class Scene:
    """What a demo works with."""

    client: Client
    files: Path  # holds the pinned files a demo names
    folder: Path  # takes its pictures
    own: bool = False  # the stack was started for the demo: nobody else uses its models


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
    jobs: int  # at most
    run: Callable[
        [Scene], Generator[Row, None, None]
    ]  # one row as each job ends; raises DemoFailed


def run_job(
    scene: Scene,
    task: str,
    fields: Mapping[str, Any],
    files: Mapping[str, Path | list[Path]] | None = None,
    on_event: Callable[[JobEvent], None] | None = None,
) -> tuple[dict[str, Any], float]:
    """(the result, seconds it took). Ctrl-C cancels the job. Raises DemoFailed.

    `on_event` is told what happens to the job as it happens.
    """
    started = time.monotonic()
    client, key = scene.client, uuid4().hex

    def submit() -> Job:
        if files:
            return client.submit_files(task, files, fields, idempotency_key=key)
        return client.submit(task, fields, idempotency_key=key)

    try:
        job = submit()
        if on_event:
            for event in client.events(job.id):
                on_event(event)
        job = client.wait(job.id)
    except KeyboardInterrupt:  # perhaps it was not accepted yet: the same key gives the same job
        client.cancel(submit().id)
        raise
    if not job.succeeded:
        raise DemoFailed(f"{task}: {job.reason}")
    return job.result or {}, time.monotonic() - started


def undo(scene: Scene, task: str, fields: Mapping[str, Any]) -> None:
    """Take back what another job did. Waited for, as the stack may be stopped next."""
    job = scene.client.submit(task, fields)
    with suppress(TimeoutError):
        scene.client.wait(job.id, PATIENCE)
