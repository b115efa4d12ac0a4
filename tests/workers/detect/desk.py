"""Does the jobs of a tenant of the detect worker, who may have detectors of random weights."""

from typing import Any

import torch

from tests.workers import desk
from workers.detect.detector_file import Detector, pack_detector
from workers.detect.loaded import DetectWorker
from workers.detect.model_contract import ModelsRequest
from workers.detect.served import KIND
from workers.detect.suppression import Suppression
from workers.detect.yolo import Yolo
from workers.detect.yolo_config import YoloConfig


class Desk(desk.Desk[DetectWorker]):
    """Its files are streamed from the blob store."""

    @property
    def progress(self) -> list[float]:
        return [step["fraction"] for step in self.steps]

    def register(self, detector: Detector, name: str = "mine") -> str:
        """As if it were trained: its name and version."""
        run, made = self.make(ModelsRequest()), dict[str, Any]()
        facts = detector.list_facts()
        self.worker.models.add(
            run, KIND, name, *pack_detector(detector), detector.metrics, facts=facts
        )
        [record] = run.effects
        self.change(lambda session: made.update(record(session)))
        return str(made["model"])


def make_detector(*names: str, seed: int = 0) -> Detector:
    """A small network of random weights; from a score of 0 every picture has boxes of its names."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Yolo(YoloConfig("small", classes=len(names), side=64, grid=4)).eval()
    return Detector(network, names, bordered=False, suppression=Suppression(0.0))
