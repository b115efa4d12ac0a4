"""The detectors with published weights, by name: the files of each, and how they are loaded."""

from collections.abc import Callable
from pathlib import Path

from shared.weights import locate
from workers.detect.darknet import load_darknet
from workers.detect.fields import Published
from workers.detect.model import YoloV3Tiny
from workers.detect.nanodet import NanoDet
from workers.detect.nanodet_weights import load_nanodet

LABELS = "coco.names"  # the classes of all of them, in the order of their scores


def load_published(name: Published, folder: Path) -> YoloV3Tiny | NanoDet:
    """The network of a name in PUBLISHED, on the CPU, ready for inference.

    Raises MissingWeights or DamagedWeights if its files in the folder are not there or not intact.
    """
    return PUBLISHED[name](folder).eval()


def load_nanodet_g(folder: Path) -> NanoDet:
    network = NanoDet()
    load_nanodet(network, locate("nanodet-g.json", folder), locate("nanodet-g.bin", folder))
    return network


def load_yolov3_tiny(folder: Path) -> YoloV3Tiny:
    network = YoloV3Tiny().eval()
    load_darknet(network, locate("yolov3-tiny.weights", folder))
    network.fuse()
    return network


PUBLISHED: dict[Published, Callable[[Path], YoloV3Tiny | NanoDet]] = {
    "nanodet-g": load_nanodet_g,
    "yolov3-tiny": load_yolov3_tiny,
}
