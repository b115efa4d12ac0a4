"""A worker of style on a new database, whose network is small and random."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.settings import Settings
from tests.workers.style.desk import Desk
from workers.style.loaded import StyleWorker


@pytest.fixture
def worker(database_url: str, tmp_path: Path, small_features: None) -> Iterator[StyleWorker]:
    """On a new database: the test runs on SQLite and on PostgreSQL."""
    yield from _open(database_url, tmp_path)


@pytest.fixture
def desk(worker: StyleWorker) -> Desk:
    """A new tenant, and the worker that does its jobs."""
    return Desk(worker)


@pytest.fixture
def sqlite_desk(sqlite_database_url: str, tmp_path: Path, small_features: None) -> Iterator[Desk]:
    """On SQLite alone: for what does not depend on the database."""
    for opened in _open(sqlite_database_url, tmp_path):
        yield Desk(opened)


def _open(url: str, home: Path) -> Iterator[StyleWorker]:
    """Nothing is in its folder of weights."""
    opened = StyleWorker(Settings(home=home, database_url=url, device="cpu"))
    yield opened
    opened.sessions.engine.dispose()
