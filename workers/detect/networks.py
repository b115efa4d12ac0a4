"""The detectors with published weights, by name: the files of each, and how they are loaded."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from shared.weights import locate
from workers.detect.darknet import load_darknet
from workers.detect.model import YoloV3Tiny
from workers.detect.nanodet import NanoDet
from workers.detect.nanodet_weights import load_nanodet

Detector = YoloV3Tiny | NanoDet  # both take a picture of 416 x 416 pixels
LABELS = "coco.names"  # the classes of all of them, in the order of their scores


@dataclass(frozen=True)
class Published:
    """A network trained by its authors, and the score from which its boxes are worth showing."""

    load: Callable[[Path], Detector]
    score_threshold: float


def load_detector(name: str, folder: Path) -> Detector:
    """The network of a name in PUBLISHED, on the CPU, ready for inference.

    Raises KeyError for any other name, and MissingWeights or DamagedWeights if its files in the
    folder are not there or not intact.
    """
    return PUBLISHED[name].load(folder).eval()


def load_nanodet_g(folder: Path) -> NanoDet:
    network = NanoDet()
    load_nanodet(network, locate("nanodet-g.json", folder), locate("nanodet-g.bin", folder))
    return network


def load_yolov3_tiny(folder: Path) -> YoloV3Tiny:
    network = YoloV3Tiny().eval()
    load_darknet(network, locate("yolov3-tiny.weights", folder))
    network.fuse()
    return network


# Measured on street pictures: with these thresholds both are right equally often; with 0.25
# NanoDet would show two to four times as many false boxes as with 0.4.
PUBLISHED = {
    "nanodet-g": Published(load_nanodet_g, score_threshold=0.4),
    "yolov3-tiny": Published(load_yolov3_tiny, score_threshold=0.25),
}
