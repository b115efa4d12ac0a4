"""The networks that come with Atelier: what each knows, where its weights are, how it is loaded."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from torch import nn

from shared.weights import WeightsError, locate
from workers.runtime.pretrained import MissingPretrained
from workers.segment.classes import VOC_NAMES, make_palette
from workers.segment.fields import Colour, Published
from workers.segment.resnet_fcn import FILE, load_resnet_fcn
from workers.segment.segmenter_file import Segmenter, load_segmenter
from workers.segment.selfie import NAMES, SIDE
from workers.segment.selfie_weights import load_selfie

CAMVID = Path(__file__).with_name("published") / "fcn-8s-camvid.safetensors"  # of this package
PULLED: dict[str, tuple[str, ...]] = {  # files that are fetched by `atelier weights pull`
    "fcn-8s-camvid": (),
    "selfie": ("selfie.json", "selfie.bin"),
    "fcn-resnet50": (FILE,),
}


@dataclass(frozen=True)
class Facts:
    """What is known of a network beside its weights."""

    labels: tuple[str, ...]  # of the classes
    palette: tuple[Colour, ...]  # their colours
    resolution: int  # pixels of the shorter side that pictures are scaled to
    encoder: str
    stride: int | None  # of an FCN
    square: bool = False  # every picture is seen as a square of `resolution`, whatever its shape
    metrics: dict[str, float] = field(default_factory=dict)
    origin: dict[str, str] = field(default_factory=dict)  # of those that come with Atelier


ORIGINS: dict[Published, dict[str, str]] = {
    "fcn-8s-camvid": {"data": "CamVid", "licence": "CC BY-NC 4.0: not for commercial use"},
    "selfie": {"data": "photographs of people, not published", "licence": "Apache-2.0"},
    "fcn-resnet50": {"data": "COCO train2017", "licence": "BSD-3-Clause"},
}
VOC = tuple(VOC_NAMES.split())
OTHERS: dict[str, Facts] = {  # which are no FCNs of these
    "selfie": Facts(
        NAMES,
        make_palette(2),
        SIDE,
        "mobilenet-v3",
        None,
        square=True,
        origin=ORIGINS["selfie"],
    ),
    "fcn-resnet50": Facts(
        VOC, make_palette(len(VOC)), 520, "resnet50", None, origin=ORIGINS["fcn-resnet50"]
    ),
}


def tell_facts(segmenter: Segmenter) -> Facts:
    config = segmenter.network.config
    return Facts(
        segmenter.names,
        segmenter.palette,
        segmenter.resolution,
        config.encoder,
        config.stride,
        metrics=segmenter.metrics,
    )


def load_published(name: Published, folder: Path) -> tuple[nn.Module, Facts]:
    """The network, on the CPU, ready for inference, and its facts; `folder`: of pulled weights.

    Raises MissingPretrained if one of its files is not there or not intact.
    """
    try:
        if name == "fcn-8s-camvid":
            segmenter = load_segmenter(CAMVID)
            return segmenter.network, replace(tell_facts(segmenter), origin=ORIGINS[name])
        network = load_selfie(folder) if name == "selfie" else load_resnet_fcn(folder)
        return network, OTHERS[name]
    except WeightsError as error:
        raise MissingPretrained(str(error)) from error
    except (OSError, ValueError) as error:
        raise MissingPretrained(
            f"{name} cannot be loaded: {error} Install Atelier again."
        ) from error


def is_installed(name: str, folder: Path) -> bool:
    """Whether the files it needs beside the package are there, and intact."""
    try:
        for file in PULLED[name]:
            locate(file, folder)
    except WeightsError:
        return False
    return True
