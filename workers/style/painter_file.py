"""A trained one-pass network in one file: its weights, its shape and what it reached."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from torch import Tensor

from workers.runtime.network_file import MetricName, fill, read_about
from workers.runtime.tensors import read_tensors, write_tensors
from workers.style.one_pass import OnePass, OnePassConfig

MAX_METRICS = 100


@dataclass(frozen=True)
class Painter:
    """A network that paints in one style, and what its training measured."""

    network: OnePass  # in eval, on the CPU
    metrics: dict[str, float] = field(default_factory=dict)

    def list_facts(self) -> dict[str, Any]:
        """What lists of models show of it."""
        return {"width": self.network.config.width, "blocks": self.network.config.blocks}


class About(BaseModel):
    """What the file tells beside the weights."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    format: Literal["atelier-one-pass-1"] = "atelier-one-pass-1"
    network: OnePassConfig
    half: bool = False  # the weights are stored in 16 bits
    metrics: dict[MetricName, float] = Field(default_factory=dict, max_length=MAX_METRICS)


READER = TypeAdapter(About)


def pack_painter(painter: Painter, half: bool = False) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """(tensors, what they are); equal painters give equal ones. `half`: in 16 bits."""
    about = About(network=painter.network.config, half=half, metrics=painter.metrics)
    tensors = painter.network.state_dict()
    if half:
        tensors = {name: one.half() for name, one in tensors.items()}
    return tensors, about.model_dump()


def unpack_painter(tensors: dict[str, Tensor], told: dict[str, Any]) -> Painter:
    """As it was packed; raises ValueError if that is no painter, whatever it is."""
    about = read_about(READER, told)
    with torch.device("meta"):  # a file that lies about its network takes no memory
        network = OnePass(about.network).eval()
    if about.half:
        network.half()
    fill(network, tensors)
    return Painter(network.float(), about.metrics)


def save_painter(painter: Painter, path: Path, half: bool = False) -> None:
    """Replace the file as a whole; equal painters give equal files."""
    write_tensors(path, *pack_painter(painter, half))


def load_painter(path: Path) -> Painter:
    """As it was saved; raises ValueError if the file holds no painter, whatever it holds."""
    return unpack_painter(*read_tensors(path))
