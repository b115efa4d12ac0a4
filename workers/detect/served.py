"""The detectors that jobs can choose from: those that come with Atelier, and a tenant's own."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar, get_args

import torch
from torch import Tensor

from shared.models import find_promoted
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
from workers.runtime.trained import TrainedModels, UnknownModel

KIND = "detector"  # of all models of this worker in the registry
Network = Yolo | YoloV3Tiny | NanoDet
T = TypeVar("T")


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
        self.models, self.device = models, device
        labels = tuple(locate(LABELS, settings.weights).read_text().splitlines())
        self.published: dict[str, Served] = {}
        for name in get_args(Published):
            network = self._place(load_published(name, settings.weights))
            if settings.compile:  # not a tenant's own: a job that asks for it would wait minutes
                compile_network(network, SIZE)
            own = Suppression(score_threshold=SCORE_THRESHOLDS[name])
            self.published[name] = Served(name, network, SIZE, labels, True, own)

    def open(self, tenant: str, asked: str | None) -> Served:
        """None: the one the tenant promoted, or else DEFAULT_MODEL. Raises UnknownModel."""
        return self._look_up(tenant, asked, self._open)

    def find_name(self, tenant: str, asked: str | None) -> str:
        """The full name of what `open` would open now; loads nothing. Raises UnknownModel."""
        return self._look_up(tenant, asked, self._find_name)

    def check(self, tenant: str, name: str) -> None:
        """Load one of the tenant's own from its file. Raises UnknownModel."""
        self.models.open(tenant, name, KIND, self._build, afresh=True)

    def find_in_use(self, tenant: str) -> str:
        """The name of the detector for jobs that name none."""
        with self.models.sessions.read() as session:
            promoted = find_promoted(session, tenant, self.models.worker)
        return DEFAULT_MODEL if promoted is None else str(promoted)

    def _look_up(self, tenant: str, asked: str | None, find: Callable[[str, str], T]) -> T:
        if asked is not None:
            return find(tenant, asked)
        name = self.find_in_use(tenant)
        try:
            return find(tenant, name)
        except UnknownModel:
            now = self.find_in_use(tenant)
            if now == name:
                raise
            return find(tenant, now)  # the other was deleted in between

    def _find_name(self, tenant: str, name: str) -> str:
        return name if name in self.published else self.models.find_name(tenant, name)

    def _open(self, tenant: str, name: str) -> Served:
        if name in self.published:
            return self.published[name]
        full_name, served = self.models.open(tenant, name, KIND, self._build)
        return replace(served, name=full_name)

    def _build(self, tensors: dict[str, Tensor], about: dict[str, Any]) -> Served:
        detector = unpack_detector(tensors, about)
        network = self._place(detector.network)
        return Served(
            "", network, detector.side, detector.names, detector.bordered, detector.suppression
        )

    def _place(self, network: Network) -> Network:
        return network.to(self.device).to(memory_format=torch.channels_last)
