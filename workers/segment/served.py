"""The segmentation networks that jobs can choose from: Atelier's, and a tenant's own."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor, nn

from shared.settings import Settings
from workers.runtime.choice import Choice
from workers.runtime.trained import TrainedModels
from workers.segment.fields import DEFAULT_MODEL, Published
from workers.segment.networks import (
    OTHERS,
    Facts,
    is_installed,
    load_published,
    tell_facts,
)
from workers.segment.scores import score_tiles
from workers.segment.segmenter_file import unpack_segmenter

KIND = "segmenter"  # of all models of this worker in the registry


@dataclass(frozen=True, kw_only=True)
class Served(Facts):
    """A network as jobs use it."""

    name: str  # of those that come with Atelier, or name@version
    network: nn.Module  # in eval, on the worker's device, channels last

    @property
    def background(self) -> int | None:
        """The class that means nothing in particular, if there is one: the first."""
        return 0 if self.labels[0].casefold() == "background" else None

    def score(self, tiles: Tensor) -> Tensor:
        """RGB (N, 3, h, w) uint8 on the CPU -> scores (N, C, h, w) on the worker's device."""
        return score_tiles(self.network, tiles)


def serve(name: str, network: nn.Module, facts: Facts, device: torch.device) -> Served:
    placed = network.to(device).to(memory_format=torch.channels_last)
    return Served(name=name, network=placed, **vars(facts))


class PublishedNetworks(Mapping[str, Served]):
    """Those that come with Atelier, by name; each is loaded when it is first asked for.

    Looking one up raises MissingPretrained if its weights are not on this machine.
    """

    def __init__(self, folder: Path, device: torch.device) -> None:
        self.folder, self.device = folder, device  # of pulled weights
        self._loaded: dict[str, Served] = {}

    def __getitem__(self, name: str) -> Served:
        if name not in self._loaded:
            published = next(one for one in get_args(Published) if one == name)
            self._loaded[name] = serve(name, *load_published(published, self.folder), self.device)
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        return name in get_args(Published)

    def __iter__(self) -> Iterator[str]:
        return iter(get_args(Published))

    def __len__(self) -> int:
        return len(get_args(Published))

    def tell_facts(self, name: str) -> Facts:
        """Without loading a network whose weights may not be there."""
        return OTHERS[name] if name in OTHERS else self[name]

    def is_installed(self, name: str) -> bool:
        return name in self._loaded or is_installed(name, self.folder)


class Segmenters:
    """Opens them by name; a tenant's own are loaded when they are first asked for."""

    def __init__(self, settings: Settings, models: TrainedModels, device: torch.device) -> None:
        self.device = device
        self.published = PublishedNetworks(settings.weights, device)
        self.choice = Choice(models, KIND, self.build, self.published, DEFAULT_MODEL)

    def open(self, tenant: str, asked: str | None) -> Served:
        """None: the one the tenant promoted, or else DEFAULT_MODEL.

        Raises UnknownModel; MissingPretrained, if the weights of a published one are not there.
        """
        name, served = self.choice.open(tenant, asked)
        return served if served.name == name else replace(served, name=name)

    def build(self, tensors: dict[str, Tensor], about: dict[str, Any]) -> Served:
        """Of a file of a tenant's own; raises ValueError if it holds no segmenter."""
        segmenter = unpack_segmenter(tensors, about)
        return serve("", segmenter.network, tell_facts(segmenter), self.device)
