"""The real networks and photographs of people, fetched once to where the product keeps them."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import torch
from PIL import Image
from sqlalchemy.engine import make_url

from shared.settings import Settings
from shared.weights import locate
from tests.workers.faces.desk import Desk
from workers.faces.find import Finder
from workers.faces.loaded import FacesWorker
from workers.runtime.images import decode


@pytest.fixture(scope="session")
def finder(weights: Path) -> Finder:
    return Finder(weights, torch.device("cpu"))


@pytest.fixture(scope="session")
def photo(weights: Path) -> Callable[[str], Image.Image]:
    """A photograph by its file name, upright RGB."""
    return lambda name: decode(locate(name, weights).read_bytes())


@pytest.fixture(scope="session")
def worker(
    weights: Path, migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FacesWorker]:
    """One for all tests, as loading takes seconds; each test is a tenant of its own."""
    home = tmp_path_factory.mktemp("worker")
    shutil.copy(migrated_sqlite, home / "atelier.db")
    yield from run_worker(Settings(home=home, weights_dir=weights, device="cpu", search_quota=200))


@pytest.fixture(scope="session")
def postgres_worker(
    weights: Path,
    postgres_url: str,
    migrated_postgres: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[FacesWorker]:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE faces TEMPLATE {migrated_postgres}")
    database = make_url(postgres_url).set(database="faces")
    settings = Settings(
        home=tmp_path_factory.mktemp("postgres-worker"),
        database_url=database.render_as_string(hide_password=False),
        weights_dir=weights,
        device="cpu",
    )
    yield from run_worker(settings)


@pytest.fixture
def desk(worker: FacesWorker) -> Desk:
    """A new tenant, and the worker that does its jobs."""
    return Desk(worker)


@pytest.fixture(params=["sqlite", "postgresql"])
def each_desk(request: pytest.FixtureRequest) -> Desk:
    """On either database: the test runs twice."""
    name = "worker" if request.param == "sqlite" else "postgres_worker"
    return Desk(request.getfixturevalue(name))


@pytest.fixture(scope="session")
def photo_file(weights: Path) -> Callable[[str], bytes]:
    """The content of a photograph's file."""
    return lambda name: locate(name, weights).read_bytes()


def run_worker(settings: Settings) -> Iterator[FacesWorker]:
    worker = FacesWorker(settings)
    yield worker
    worker.indexes.close()
    worker.sessions.engine.dispose()
