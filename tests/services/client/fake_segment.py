"""Answers the tasks on pixels and on segmentation networks as the contract has it."""

from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from services.client.demos.coloured_shapes import NAMES, draw_shapes
from services.client.demos.segment import PLAIN_TO_SEE, SOME, UNSEEN
from tests.services.client.fake_api import Answer, JobFailed
from tests.services.client.fake_models import FakeModels

MASK, OVERLAY, HEAT, SHAPES = b"a mask", b"colours over it", b"a heat map of ", b"a COCO JSON"
CURVE, CONFUSION, SAMPLES = b"a curve", b"what was taken for what", b"pictures with truth"
FILE = b"a file of a network"
CLASSES = ["Sky", "Road"]
MEASURES = {"pixel_accuracy": 0.75, "mean_accuracy": 0.5, "frequency_weighted_iou": 0.625}
PER_CLASS = {
    "Sky": {"share": 0.25, "iou": 0.5, "accuracy": 0.75},
    "Road": {"share": 0.75, "iou": None, "accuracy": None},
}


DEMO_FILES = (  # that the demo saves
    "segment-china.jpg",
    "segment-curve.jpg",
    "segment-heat-Sky.png",
    "segment-heat-Tree.png",
    "segment-obama.jpg",
    "segment-samples.jpg",
    "segment-shapes.jpg",
)


@dataclass
class FakeSegment(FakeModels):
    """Networks of the fake server; tests read them and change what they find."""

    worker = "segment"

    shown: dict[bytes, list[str]] = field(default_factory=dict)  # classes by picture
    mean_iou: float = 0.75  # that every training reaches

    def __post_init__(self) -> None:
        self.add("fcn-8s-camvid", in_use=True, created_at=None, metrics={"mean_iou": 0.625})
        self.add("selfie", created_at=None, installed=False, stride=None)
        methods: dict[str, Answer] = {
            "pixels": self.look,
            "train": self.train,
            "evaluate": self.evaluate,
            "export": self.export,
            "import": self.bring_in,
        }
        self.answer(methods)

    def add(self, model: str, **facts: Any) -> str:
        known = {
            "classes": CLASSES,
            "colours": [(70, 130, 180), (128, 64, 128)],
            "encoder": "thin",
            "stride": 8,
            "resolution": 360,
            "installed": True,
            "metrics": {},
            "origin": {},
            "in_use": False,
            "created_at": 1.9e9,
        }
        self.models.append({"model": model, **known, **facts})
        return model

    def add_version(self, name: str) -> str:
        return self.add(f"{name}@{len(self.models) - 1}", metrics={"mean_iou": self.mean_iou})

    def look(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Every class is on as much of the picture."""
        content = self.api.blobs[asked["picture"]]
        if content == b"broken":
            raise JobFailed("invalid_input", "The picture is damaged.")
        labels = self.shown.get(content, CLASSES)
        chosen = asked["classes"] or labels
        return {
            "width": 8,
            "height": 6,
            "model": self.find(asked["model"] or "fcn-8s-camvid"),
            "seen": (8, 6),
            "areas": [self._measure(label, labels) for label in labels],
            "mask": self.api.add_blob(MASK),
            "overlay": self.api.add_blob(OVERLAY) if asked["overlay"] else None,
            "heat_maps": [*map(self._draw, chosen, count())] if asked["heat_maps"] else None,
            "shapes": self.api.add_blob(SHAPES) if asked["shapes"] else None,
        }

    def _measure(self, label: str, labels: list[str]) -> dict[str, Any]:
        place, classes = labels.index(label), len(labels)
        area = {"pixels": 48 // classes, "share": 1 / classes, "colour": (0, 0, 0)}
        return {"label": label, "class_id": place, **area}

    def _draw(self, label: str, place: int) -> dict[str, Any]:
        picture = self.api.add_blob(HEAT + label.encode())
        return {"label": label, "class_id": place, "highest": 0.9, "picture": picture}

    def train(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {
            "model": self.add_version(asked["name"]),
            "classes": CLASSES,
            "measures": {**MEASURES, "mean_iou": self.mean_iou},
            "per_class": PER_CLASS,
            "resolution": asked["resolution"] or 240,
            "loss": 0.25,
            "epochs": asked["epochs"],
            "best_epoch": 3,
            "pictures": {"learned": 8, "held_out": 2},
            "without_mask": 0,
            "parameters": 1000,
            "curve": self.api.add_blob(CURVE),
            "samples": self.api.add_blob(SAMPLES),
        }

    def evaluate(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {
            "model": self.find(asked["model"] or "fcn-8s-camvid"),
            "pictures": 10,
            "pixels": 480,
            "measures": {**MEASURES, "mean_iou": 0.5},
            "per_class": PER_CLASS,
            "confusion": self.api.add_blob(CONFUSION),
            "samples": self.api.add_blob(SAMPLES),
        }

    def export(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {
            "model": self.find(asked["model"]),
            "format": asked["format"],
            "file": self.api.add_blob(FILE),
            "bytes": len(FILE),
            "classes": CLASSES,
            "inputs": {"pixels": ["batch", 3, asked["height"] or 360, 480]},
            "outputs": {"probabilities": ["batch", 2, 360, 480]},
        }

    def bring_in(self, asked: dict[str, Any]) -> dict[str, Any]:
        facts = {"classes": CLASSES, "encoder": "thin", "stride": 8, "resolution": 360}
        return {"model": self.add_version(asked["name"]), **facts, "parameters": 1000}


def show_demo(segment: FakeSegment, files: Path) -> None:
    """Let the server find what the demo shows it: photographs of a folder, and drawn shapes."""
    for photo, plain in PLAIN_TO_SEE.values():
        segment.shown[(files / photo).read_bytes()] = [*plain]
    drawn = draw_shapes(Random(UNSEEN))
    segment.shown[drawn.picture] = [name for name in NAMES if drawn.measure(name) >= SOME]
