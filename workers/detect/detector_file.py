"""A trained detector in one file: its network, its classes, and how it is to be used."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator
from torch import Tensor

from workers.detect.fields import Labels
from workers.detect.model import SIZE, STRIDE, YoloV3Tiny
from workers.detect.suppression import Suppression
from workers.detect.yolo import Yolo
from workers.detect.yolo_config import MAX_ANCHOR, MAX_CLASSES, MAX_SIDE, YoloConfig
from workers.detect.yolo_v1 import ImageClassifier
from workers.runtime.network_file import fill, read_about
from workers.runtime.tensors import read_tensors, write_tensors

Pixels = Annotated[int, Field(ge=1, le=MAX_ANCHOR)]
MAX_METRICS = MAX_CLASSES + 100  # one of each class, and others
MetricName = Annotated[str, Field(max_length=220)]  # that of a class, and of what is measured
CLASSIFIER = "atelier-yolo-classifier-1"


@dataclass(frozen=True)
class Detector:
    """A network and what it takes to use it."""

    network: Yolo | YoloV3Tiny  # in eval, on the CPU; the latter fused
    names: tuple[str, ...]  # of the classes
    bordered: bool  # pictures lie between grey borders on the square; otherwise stretched over it
    suppression: Suppression = field(default_factory=Suppression)
    metrics: dict[str, float] = field(default_factory=dict)

    @property
    def side(self) -> int:
        """Pixels of the square the network sees."""
        return self.network.config.side if isinstance(self.network, Yolo) else self.network.side

    def list_facts(self) -> dict[str, Any]:
        """What lists of models show of it."""
        return {
            "classes": list(self.names),
            "side": self.side,
            "score_threshold": self.suppression.score_threshold,
            "iou_threshold": self.suppression.iou_threshold,
        }


class Common(BaseModel):
    """What the files of all networks tell beside the weights."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    names: Labels
    bordered: bool
    suppression: Suppression
    metrics: dict[MetricName, float] = Field(default_factory=dict, max_length=MAX_METRICS)

    @model_validator(mode="after")
    def check(self) -> Self:
        limits = self.suppression
        if not (0 <= limits.score_threshold <= 1 and 0 <= limits.iou_threshold <= 1):
            raise ValueError("Thresholds are between 0 and 1.")
        if limits.max_detections < 1 or limits.sigma <= 0:
            raise ValueError("max_detections must be 1 or more, sigma more than 0.")
        return self


class AboutYolo(Common):
    """Of a network trained here."""

    format: Literal["atelier-yolo-1"] = "atelier-yolo-1"
    network: YoloConfig

    @model_validator(mode="after")
    def check_network(self) -> Self:
        check_names(self.names, self.network.classes)
        return self


class TinyConfig(BaseModel):
    """What fixes the shapes of YOLOv3-tiny, and the boxes it starts from."""

    model_config = ConfigDict(extra="forbid", strict=True)

    classes: int = Field(ge=1, le=MAX_CLASSES)
    anchors: list[tuple[Pixels, Pixels]] = Field(min_length=6, max_length=6)  # as in YoloV3Tiny
    side: int = Field(SIZE, ge=STRIDE, le=MAX_SIDE, multiple_of=STRIDE)


class AboutTiny(Common):
    """Of a YOLOv3-tiny, its batch normalisation folded."""

    format: Literal["atelier-yolov3-tiny-1"] = "atelier-yolov3-tiny-1"
    network: TinyConfig

    @model_validator(mode="after")
    def check_network(self) -> Self:
        check_names(self.names, self.network.classes)
        return self


About = Annotated[AboutYolo | AboutTiny, Field(discriminator="format")]
READER: TypeAdapter[AboutYolo | AboutTiny] = TypeAdapter(About)


def check_names(names: list[str], classes: int) -> None:
    if not len(set(names)) == len(names) == classes:
        raise ValueError(f"{classes} classes need as many different names.")


def pack_detector(detector: Detector) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """(tensors, what they are); equal detectors give equal ones."""
    network = detector.network
    common: dict[str, Any] = {
        "names": list(detector.names),
        "bordered": detector.bordered,
        "suppression": detector.suppression,
        "metrics": detector.metrics,
    }
    about: AboutYolo | AboutTiny
    if isinstance(network, Yolo):
        about = AboutYolo(network=network.config, **common)
    else:
        shape = TinyConfig(
            classes=network.classes, anchors=list(network.anchors), side=network.side
        )
        about = AboutTiny(network=shape, **common)
    return network.state_dict(), about.model_dump()


def unpack_detector(tensors: dict[str, Tensor], told: dict[str, Any]) -> Detector:
    """As it was packed; raises ValueError if that is no detector, whatever it is."""
    about = read_about(READER, told)
    with torch.device("meta"):  # a file that lies about its network takes no memory
        network = build_empty(about)
    fill(network, tensors)
    return Detector(network, tuple(about.names), about.bordered, about.suppression, about.metrics)


def build_empty(about: AboutYolo | AboutTiny) -> Yolo | YoloV3Tiny:
    """The network in eval, without weights that mean anything."""
    if isinstance(about, AboutYolo):
        return Yolo(about.network).eval()
    shape = about.network
    network = YoloV3Tiny(shape.classes, tuple(shape.anchors), shape.side).eval()
    network.fuse()
    return network


def save_detector(detector: Detector, path: Path) -> None:
    """Replace the file as a whole; equal detectors give equal files."""
    write_tensors(path, *pack_detector(detector))


def load_detector(path: Path) -> Detector:
    """As it was saved; raises ValueError if the file holds no detector, whatever it holds."""
    return unpack_detector(*read_tensors(path))


def save_classifier(classifier: ImageClassifier, path: Path) -> None:
    """The network that a detector's convolutions are pre-trained in."""
    write_tensors(path, classifier.state_dict(), {"format": CLASSIFIER})


def load_classifier(path: Path) -> ImageClassifier:
    """As it was saved; raises ValueError if the file holds no such classifier."""
    tensors, told = read_tensors(path)
    head = tensors.get("head.bias")
    if told != {"format": CLASSIFIER} or head is None or head.dim() != 1:
        raise ValueError(f"{path} holds no classifier to start from.")
    with torch.device("meta"):
        classifier = ImageClassifier(len(head))
    fill(classifier, tensors)
    return classifier.eval()
