"""Answers the tasks on detectors and videos as the contract has it."""

import json
from dataclasses import dataclass
from typing import Any

from tests.services.client.fake_api import DRAWN, Answer
from tests.services.client.fake_models import FakeModels

CURVE, SAMPLES, FILE = b"a picture of a loss", b"pictures with boxes", b"a file of weights"
CLASSES = ["bear", "raccoon"]


def make_line(frame: int, line: int | None = None, model: str = "nanodet-g") -> dict[str, Any]:
    """What is on a frame, as events and results have it; the line has its number unless given."""
    box = {"label": "bear", "class_id": 0, "score": 0.5, "xyxy": [1.0, 2.0, 3.0, 4.0]}
    view = {"seconds": frame / 10, "width": 8, "height": 6, "boxes": [box]}
    return {"line": frame if line is None else line, "model": model, "frame": frame, **view}


@dataclass
class FakeDetect(FakeModels):
    """Detectors of the fake server; tests read them and change what they are worth."""

    worker = "detect"

    precision: float = 0.9
    frames: int = 8  # of every video

    def __post_init__(self) -> None:
        self.add("nanodet-g", in_use=True, created_at=None)
        self.api.in_use = "nanodet-g"
        methods: dict[str, Answer] = {
            "train": self.train,
            "evaluate": self.evaluate,
            "stream": self.stream,
            "export": self.export,
            "import": self.bring_in,
        }
        self.answer(methods)

    def add(self, model: str, in_use: bool = False, created_at: float | None = 1.9e9) -> str:
        facts = {"classes": CLASSES, "side": 64, "score_threshold": 0.25, "iou_threshold": 0.45}
        metrics = {} if created_at is None else {"map50": self.precision}
        known = {"metrics": metrics, "origin": {}, "in_use": in_use, "created_at": created_at}
        self.models.append({"model": model, **facts, **known})
        return model

    def add_version(self, name: str) -> str:
        return self.add(f"{name}@{len(self.models)}")

    def train(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {
            "model": self.add_version(asked["name"]),
            "classes": CLASSES,
            "metrics": {"map50": self.precision, "map50_of_sure": 0.5},
            "score_threshold": asked["score_threshold"] or 0.35,
            "epochs": asked["epochs"],
            "best_epoch": 3,
            "stopped_early": False,
            "pictures": {"learned": 8, "held_out": 2},
            "objects": {"bear": 5, "raccoon": 6},
            "left_out": 0,
            "parameters": 1000,
            "curve": self.api.add_blob(CURVE),
            "precision_recall": self.api.add_blob(CURVE),
            "samples": self.api.add_blob(SAMPLES),
        }

    def evaluate(self, asked: dict[str, Any]) -> dict[str, Any]:
        bear = {"average_precision": 0.75, "objects": 5, "recall": 0.6, "precision": 0.5}
        raccoon = {"average_precision": 0.0, "objects": 6, "recall": 0.0, "precision": None}
        coco = {"average": 0.25, "at_50": 0.375, "at_75": 0.1, "medium": 0.3}
        return {
            "model": self.find(asked["model"] or "nanodet-g"),
            "pictures": 10,
            "objects": 11,
            "mean_average_precision": 0.375,
            "mean_of_sure": 0.2,
            "classes": {"bear": bear, "raccoon": raccoon},
            "coco": {**coco, "small": None, "large": None},
            "own_threshold": 0.25,
            "precision_recall": self.api.add_blob(CURVE),
        }

    def stream(self, asked: dict[str, Any]) -> dict[str, Any]:
        places = range(0, self.frames * asked["every"], asked["every"])
        model = self.find(asked["model"] or "nanodet-g")
        views = [make_line(frame, line, model) for line, frame in enumerate(places)]
        lines = "".join(json.dumps(view) + "\n" for view in views)
        return {
            "model": model,
            "frames": self.frames,
            "fps": 10.0,
            "width": 8,
            "height": 6,
            "objects": {"bear": self.frames},
            "results": self.api.add_blob(lines.encode()),
            "annotated": self.api.add_blob(DRAWN) if asked["annotate"] else None,
            "cut": False,
        }

    def promote(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.api.in_use = self.find(asked["model"])
        return super().promote(asked)

    def export(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {
            "model": self.find(asked["model"]),
            "format": asked["format"],
            "file": self.api.add_blob(FILE),
            "bytes": len(FILE),
            "side": 64,
            "classes": CLASSES,
            "inputs": {"pixels": ["batch", 3, 64, 64]},
            "outputs": {"boxes": ["batch", 32, 4]},
        }

    def bring_in(self, asked: dict[str, Any]) -> dict[str, Any]:
        model = self.add_version(asked["name"])
        return {"model": model, "classes": CLASSES, "side": 416, "parameters": 1000}
