"""The detectors that jobs can choose from: those that come with Atelier, and a tenant's own."""

from dataclasses import dataclass, replace
from typing import Any, get_args

import torch
from torch import Tensor

from shared.settings import Settings
from shared.weights import locate
from workers.detect.compiled import compile_network
from workers.detect.detector_file import unpack_detector
from workers.detect.fields import DEFAULT_MODEL, SCORE_THRESHOLDS, Published
from workers.detect.model import SIZE, YoloV3Tiny
from workers.detect.nanodet import NanoDet
from workers.detect.networks import LABELS, load_published
from workers.detect.suppression import Suppression
from workers.detect.yolo import Yolo
from workers.runtime.choice import Choice
from workers.runtime.trained import TrainedModels

KIND = "detector"  # of all models of this worker in the registry
Network = Yolo | YoloV3Tiny | NanoDet


@dataclass(frozen=True)
class Served:
    """A detector as jobs use it."""

    name: str  # of those that come with Atelier, or name@version
    network: Network  # in eval, on the worker's device, channels last
    side: int  # pixels of the square it sees
    labels: tuple[str, ...]  # of the classes
    bordered: bool  # pictures keep their shape, between grey borders
    suppression: Suppression  # where a job asks for nothing else


class Detectors:
    """Opens them by name; a tenant's own are loaded when they are first asked for."""

    def __init__(self, settings: Settings, models: TrainedModels, device: torch.device) -> None:
        self.device = device
        labels = tuple(locate(LABELS, settings.weights).read_text().splitlines())
        self.published: dict[str, Served] = {}
        for name in get_args(Published):
            network = self._place(load_published(name, settings.weights))
            if settings.compile:  # not a tenant's own: a job that asks for it would wait minutes
                compile_network(network, SIZE)
            own = Suppression(score_threshold=SCORE_THRESHOLDS[name])
            self.published[name] = Served(name, network, SIZE, labels, True, own)
        self.choice = Choice(models, KIND, self._build, self.published, DEFAULT_MODEL)

    def open(self, tenant: str, asked: str | None) -> Served:
        """None: the one the tenant promoted, or else DEFAULT_MODEL. Raises UnknownModel."""
        name, served = self.choice.open(tenant, asked)
        return served if served.name == name else replace(served, name=name)

    def _build(self, tensors: dict[str, Tensor], about: dict[str, Any]) -> Served:
        detector = unpack_detector(tensors, about)
        network = self._place(detector.network)
        return Served(
            "", network, detector.side, detector.names, detector.bordered, detector.suppression
        )

    def _place(self, network: Network) -> Network:
        return network.to(self.device).to(memory_format=torch.channels_last)
