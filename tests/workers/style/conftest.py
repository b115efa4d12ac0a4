"""A worker of style on a new database, whose networks are small and random."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from shared.settings import Settings
from tests.workers.style.desk import Desk
from workers.runtime.vgg16 import VGG16
from workers.style import loaded, served
from workers.style.features import Features, load_features
from workers.style.fields import Network, Pooling
from workers.style.loaded import StyleWorker
from workers.style.one_pass import OnePass, OnePassConfig
from workers.style.painter_file import Painter, save_painter


@pytest.fixture(autouse=True, scope="session")
def default_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """In place of the network that comes with Atelier: a small one, as chance made it."""
    path = tmp_path_factory.mktemp("published") / "stained-glass.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = OnePass(OnePassConfig(width=4, blocks=1)).eval()
    save_painter(Painter(network, {"style": 1.0}), path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(served, "FOLDER", path.parent)
        yield path


@pytest.fixture(autouse=True, scope="session")
def small_features() -> Iterator[None]:
    """In place of VGG16: a network of few channels, as chance made it. VGG19 is not there."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = VGG16(widths=(4, 6, 8, 8, 8)).convolutions()
    pairs = [(one.weight, one.bias) for one in layers if one.bias is not None]

    def load(network: Network, pooling: Pooling, folder: Path, device: torch.device) -> Features:
        if network == "vgg19":
            return load_features(network, pooling, folder, device)
        return Features(network, pooling, pairs, device=device)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loaded, "load_features", load)
        yield


@pytest.fixture
def worker(database_url: str, tmp_path: Path) -> Iterator[StyleWorker]:
    """On a new database: the test runs on SQLite and on PostgreSQL."""
    yield from _open(database_url, tmp_path)


@pytest.fixture
def desk(worker: StyleWorker) -> Desk:
    """A new tenant, and the worker that does its jobs."""
    return Desk(worker)


@pytest.fixture
def sqlite_desk(sqlite_database_url: str, tmp_path: Path) -> Iterator[Desk]:
    """On SQLite alone: for what does not depend on the database."""
    for opened in _open(sqlite_database_url, tmp_path):
        yield Desk(opened)


def _open(url: str, home: Path) -> Iterator[StyleWorker]:
    """Nothing is in its folder of weights."""
    opened = StyleWorker(Settings(home=home, database_url=url, device="cpu"))
    yield opened
    opened.sessions.engine.dispose()
