"""The real network and photographs, fetched once to where the product keeps them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from shared.blobs import sniff
from shared.downloads import Downloads
from shared.settings import Settings, read_settings
from shared.weights import load_catalog, locate, pull
from workers.detect.contract import ObjectsRequest
from workers.detect.darknet import load_darknet
from workers.detect.model import YoloV3Tiny
from workers.detect.worker import DetectWorker
from workers.runtime.run import Run

NEEDED = ["yolov3-tiny.weights", "yolov3-tiny.cfg", "coco.names"]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """As in production: more threads than cores wait for each other."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def weights() -> Path:
    """The folder with the real files."""
    folder = read_settings().weights
    folder.mkdir(parents=True, exist_ok=True)
    photos = [file.name for file in load_catalog().files if file.kind == "photo"]
    with Downloads(folder) as downloads:
        for name in [*NEEDED, *photos]:
            pull(name, folder, downloads=downloads)
    return folder


@pytest.fixture(scope="session")
def network(weights: Path) -> YoloV3Tiny:
    """As published: batch normalisation not folded."""
    loaded = YoloV3Tiny()
    load_darknet(loaded, locate("yolov3-tiny.weights", weights))
    return loaded.eval()


@pytest.fixture(scope="session")
def worker(weights: Path) -> DetectWorker:
    made = DetectWorker(Settings(weights_dir=weights, device="cpu"))
    made.warm_up()
    return made


@dataclass
class Jobs:
    """Makes runs without a queue or a store, and keeps what they save."""

    saved: dict[str, tuple[bytes, str]] = field(default_factory=dict)

    def make(self, content: bytes, **request: object) -> Run[ObjectsRequest]:
        return Run(
            job_id="job",
            tenant="tenant",
            request=ObjectsRequest(picture="0" * 64, **request),
            read=lambda _: content,
            save=self._save,
            report=lambda _: None,
            stop_requested=lambda: False,
        )

    def _save(self, content: bytes) -> str:
        blob = f"{len(self.saved):064x}"
        self.saved[blob] = (content, sniff(content))
        return blob


@pytest.fixture
def jobs() -> Jobs:
    return Jobs()


@pytest.fixture(scope="session")
def photo(weights: Path) -> Callable[[str], bytes]:
    """The content of a photograph."""
    return lambda name: locate(name, weights).read_bytes()
