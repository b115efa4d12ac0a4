"""What a demo is: the jobs that show one worker, and the rows they put into a table."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

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
