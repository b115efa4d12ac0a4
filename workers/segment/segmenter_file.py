"""A trained segmentation network in one file: its weights, its classes and their colours."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import torch
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, model_validator
from torch import Tensor

from workers.runtime.network_file import MetricName, check_shown, fill, read_about
from workers.runtime.tensors import read_tensors, write_tensors
from workers.segment.fcn import FCN
from workers.segment.fcn_config import FcnConfig
from workers.segment.fields import MAX_SIDE, MIN_SIDE, Colour
from workers.segment.metrics import VOID

MAX_METRICS = 3 * VOID + 100  # some of each class, and others


Name = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(check_shown)]


@dataclass(frozen=True)
class Segmenter:
    """A network and what its answers mean."""

    network: FCN  # in eval, on the CPU
    names: tuple[str, ...]  # of the classes
    palette: tuple[Colour, ...]  # and their colours
    resolution: int  # pixels of the shorter side that pictures are scaled to
    metrics: dict[str, float] = field(default_factory=dict)

    def list_facts(self) -> dict[str, Any]:
        """What lists of models show of it."""
        config = self.network.config
        return {
            "classes": list(self.names),
            "colours": [list(colour) for colour in self.palette],
            "encoder": config.encoder,
            "stride": config.stride,
            "resolution": self.resolution,
        }


class About(BaseModel):
    """What the file tells beside the weights."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    format: Literal["atelier-fcn-1"] = "atelier-fcn-1"
    network: FcnConfig
    names: Annotated[list[Name], Field(max_length=VOID)]
    palette: list[Colour]
    resolution: Annotated[int, Field(ge=MIN_SIDE, le=MAX_SIDE)]
    half: bool = False  # the weights are stored in 16 bits
    metrics: dict[MetricName, float] = Field(default_factory=dict, max_length=MAX_METRICS)

    @model_validator(mode="after")
    def check_classes(self) -> Self:
        classes = self.network.classes
        if not len(set(self.names)) == len(self.names) == len(self.palette) == classes:
            raise ValueError(f"{classes} classes need as many different names, and colours.")
        return self


READER = TypeAdapter(About)


def pack_segmenter(
    segmenter: Segmenter, half: bool = False
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """(tensors, what they are); equal segmenters give equal ones. `half`: in 16 bits."""
    about = About(
        network=segmenter.network.config,
        names=list(segmenter.names),
        palette=list(segmenter.palette),
        resolution=segmenter.resolution,
        half=half,
        metrics=segmenter.metrics,
    )
    tensors = segmenter.network.state_dict()
    if half:
        # the counts of batch normalisation stay whole
        tensors = {
            name: one.half() if one.is_floating_point() else one for name, one in tensors.items()
        }
    return tensors, about.model_dump()


def unpack_segmenter(tensors: dict[str, Tensor], told: dict[str, Any]) -> Segmenter:
    """As it was packed; raises ValueError if that is no segmenter, whatever it is."""
    about = read_about(READER, told)
    with torch.device("meta"):  # a file that lies about its network takes no memory
        network = FCN(about.network).eval()
    if about.half:
        network.half()
    fill(network, tensors)
    network.float()
    return Segmenter(
        network, tuple(about.names), tuple(about.palette), about.resolution, about.metrics
    )


def save_segmenter(segmenter: Segmenter, path: Path, half: bool = False) -> None:
    """Replace the file as a whole; equal segmenters give equal files."""
    write_tensors(path, *pack_segmenter(segmenter, half))


def load_segmenter(path: Path) -> Segmenter:
    """As it was saved; raises ValueError if the file holds no segmenter, whatever it holds."""
    return unpack_segmenter(*read_tensors(path))
