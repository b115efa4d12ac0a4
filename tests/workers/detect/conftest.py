"""The real network and photographs, fetched once to where the product keeps them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from shared.blobs import sniff
from shared.settings import Settings
from shared.weights import locate
from workers.detect.contract import ObjectsRequest
from workers.detect.darknet import load_darknet
from workers.detect.model import YoloV3Tiny
from workers.detect.worker import DetectWorker
from workers.runtime.run import Run


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
