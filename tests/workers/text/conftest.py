"""A text worker on databases of either kind."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.settings import Settings
from tests.workers.text.desk import Desk
from workers.text.loaded import TextWorker


@pytest.fixture
def worker(database_url: str, tmp_path: Path) -> Iterator[TextWorker]:
    """On a new database: the test runs on SQLite and on PostgreSQL."""
    opened = TextWorker(Settings(home=tmp_path, database_url=database_url, device="cpu"))
    yield opened
    opened.sessions.engine.dispose()


@pytest.fixture
def desk(worker: TextWorker) -> Desk:
    """A new tenant, and the worker that does its jobs."""
    return Desk(worker)


@pytest.fixture
def sqlite_desk(sqlite_database_url: str, tmp_path: Path) -> Iterator[Desk]:
    """On SQLite alone: for what takes long, and does not depend on the database."""
    settings = Settings(home=tmp_path, database_url=sqlite_database_url, device="cpu")
    opened = TextWorker(settings)
    yield Desk(opened)
    opened.sessions.engine.dispose()
