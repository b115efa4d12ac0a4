"""The real network and photographs, fetched once to where the product keeps them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shared.settings import Settings
from shared.weights import locate
from tests.workers.detect.desk import Desk
from workers.detect.darknet import load_darknet
from workers.detect.loaded import DetectWorker
from workers.detect.model import YoloV3Tiny
from workers.detect.networks import load_yolov3_tiny


@pytest.fixture(scope="session")
def network(weights: Path) -> YoloV3Tiny:
    """As published: batch normalisation not folded."""
    loaded = YoloV3Tiny()
    load_darknet(loaded, locate("yolov3-tiny.weights", weights))
    return loaded.eval()


@pytest.fixture(scope="session")
def published(weights: Path) -> YoloV3Tiny:
    """As the worker serves it."""
    return load_yolov3_tiny(weights)


@pytest.fixture
def worker(database_url: str, weights: Path, tmp_path: Path) -> Iterator[DetectWorker]:
    """On a new database: the test runs on SQLite and on PostgreSQL."""
    yield from _open(database_url, weights, tmp_path)


@pytest.fixture
def desk(worker: DetectWorker) -> Desk:
    """A new tenant, and the worker that does its jobs."""
    return Desk(worker)


@pytest.fixture
def sqlite_desk(sqlite_database_url: str, weights: Path, tmp_path: Path) -> Iterator[Desk]:
    """On SQLite alone: for what does not depend on the database."""
    for opened in _open(sqlite_database_url, weights, tmp_path):
        yield Desk(opened)


def _open(url: str, weights: Path, home: Path) -> Iterator[DetectWorker]:
    settings = Settings(home=home, database_url=url, weights_dir=weights, device="cpu")
    opened = DetectWorker(settings)
    yield opened
    opened.sessions.engine.dispose()


@pytest.fixture(scope="session")
def photo(weights: Path) -> Callable[[str], bytes]:
    """The content of a photograph."""
    return lambda name: locate(name, weights).read_bytes()
