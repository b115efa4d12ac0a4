"""A worker of segmentation on a new database, whose default is a network that knows colours."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.settings import Settings
from tests.workers.segment.desk import Desk, make_segmenter
from workers.segment import networks
from workers.segment.loaded import SegmentWorker
from workers.segment.pixels_contract import PixelsRequest
from workers.segment.segmenter_file import save_segmenter


@pytest.fixture(autouse=True, scope="session")
def default_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """In place of the network that comes with Atelier: three colours, in half precision."""
    path = tmp_path_factory.mktemp("published") / "fcn-8s-camvid.safetensors"
    save_segmenter(make_segmenter(), path, half=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(networks, "CAMVID", path)
        yield path


@pytest.fixture
def worker(database_url: str, weights: Path, tmp_path: Path) -> Iterator[SegmentWorker]:
    """On a new database: the test runs on SQLite and on PostgreSQL."""
    yield from _open(database_url, weights, tmp_path)


@pytest.fixture
def desk(worker: SegmentWorker) -> Desk:
    """A new tenant, and the worker that does its jobs."""
    return Desk(worker)


@pytest.fixture
def sqlite_desk(sqlite_database_url: str, weights: Path, tmp_path: Path) -> Iterator[Desk]:
    """On SQLite alone: for what does not depend on the database."""
    for opened in _open(sqlite_database_url, weights, tmp_path):
        yield Desk(opened)


@pytest.fixture
def ask(sqlite_desk: Desk) -> Callable[..., PixelsRequest]:
    """A request for a picture, which is uploaded."""

    def make(content: bytes, **fields: Any) -> PixelsRequest:
        return PixelsRequest(picture=sqlite_desk.add(content), **fields)

    return make


def _open(url: str, weights: Path, home: Path) -> Iterator[SegmentWorker]:
    settings = Settings(home=home, database_url=url, weights_dir=weights, device="cpu")
    opened = SegmentWorker(settings)
    yield opened
    opened.sessions.engine.dispose()
