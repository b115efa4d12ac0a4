"""The networks that paint in one pass: Atelier's, and a tenant's own."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from workers.runtime.choice import Choice
from workers.runtime.pretrained import MissingPretrained
from workers.runtime.trained import TrainedModels
from workers.style.fields import DEFAULT_MODEL, Published
from workers.style.one_pass import LEAST_SIDE, OnePass
from workers.style.painter_file import Painter, load_painter, unpack_painter

KIND = "painter"  # of all models of this worker in the registry
FOLDER = Path(__file__).with_name("published")  # of this package
ORIGINS: dict[str, dict[str, str]] = {
    "stained-glass": {"data": "free pictures", "licence": "MIT"},
}


@dataclass(frozen=True)
class Served:
    """A network as jobs use it."""

    name: str  # of those that come with Atelier, or name@version
    network: OnePass  # in eval, on the worker's device, channels last
    metrics: Mapping[str, float] = field(default_factory=dict)

    @torch.inference_mode()
    def paint(self, pixels: Tensor) -> Tensor:
        """RGB (N, 3, h, w) in [0, 1], wherever it is -> the same size painted, on the CPU.

        Of sides that are too short for the network, the border is repeated.
        """
        height, width = pixels.shape[2:]
        short = max(0, LEAST_SIDE - width), max(0, LEAST_SIDE - height)
        padded = F.pad(pixels, (0, short[0], 0, short[1]), mode="replicate")
        device = next(self.network.parameters()).device
        painted: Tensor = self.network(padded.to(device, memory_format=torch.channels_last))
        return painted[..., :height, :width].float().cpu()


class PublishedPainters(Mapping[str, Served]):
    """Those that come with Atelier, by name; each is loaded when it is first asked for.

    Looking one up raises MissingPretrained if its file is not there or not intact.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._loaded: dict[str, Served] = {}

    def __getitem__(self, name: str) -> Served:
        if name not in self:
            raise KeyError(name)
        if name not in self._loaded:
            self._loaded[name] = serve(name, self._load(name), self.device)
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        return name in get_args(Published)

    def __iter__(self) -> Iterator[str]:
        return iter(get_args(Published))

    def __len__(self) -> int:
        return len(get_args(Published))

    def find(self, name: str) -> Served | None:
        """None if it is not installed."""
        try:
            return self[name]
        except MissingPretrained:
            return None

    def _load(self, name: str) -> Painter:
        try:
            return load_painter(find_file(name))
        except (OSError, ValueError) as error:
            why = "is not there" if isinstance(error, FileNotFoundError) else "cannot be read"
            raise MissingPretrained(
                f"{name} cannot be loaded, for its file {why}. Install Atelier again."
            ) from error


class Painters:
    """Opens them by name; a tenant's own are loaded when they are first asked for."""

    def __init__(self, models: TrainedModels, device: torch.device) -> None:
        self.device = device
        self.published = PublishedPainters(device)
        self.choice = Choice(models, KIND, self.build, self.published, DEFAULT_MODEL)

    def open(self, tenant: str, asked: str | None) -> Served:
        """None: the one the tenant promoted, or else DEFAULT_MODEL.

        Raises UnknownModel; MissingPretrained, if the file of a published one is not there.
        """
        name, served = self.choice.open(tenant, asked)
        return served if served.name == name else replace(served, name=name)

    def build(self, tensors: dict[str, Tensor], about: dict[str, Any]) -> Served:
        """Of a file of a tenant's own; raises ValueError if it holds no painter."""
        return serve("", unpack_painter(tensors, about), self.device)


def serve(name: str, painter: Painter, device: torch.device) -> Served:
    placed = painter.network.to(device).to(memory_format=torch.channels_last)
    return Served(name, placed.eval(), painter.metrics)


def find_file(name: str) -> Path:
    """Of one that comes with Atelier."""
    return FOLDER / f"{name}.safetensors"
