"""Answers the tasks on paintings and on one-pass networks as the contract has it."""

from dataclasses import dataclass, field
from typing import Any

from tests.services.client.checked import check
from tests.services.client.fake_api import Answer, FakeApi, JobFailed
from tests.services.client.fake_models import FakeModels

PAINTING, HALF_DONE, AT_ONCE = b"a painting", b"half a painting", b"painted at once"
CURVE, SAMPLES, FILE = b"losses as they fell", b"photos and paintings", b"a file of a network"
START = {"content": 0.125, "style": 1.0, "tv": 0.0625, "total": 1.1875}
LOSSES = {"content": 0.25, "style": 0.25, "tv": 0.03125, "total": 0.53125}
RECIPE: dict[str, Any] = {
    "content_layers": ["relu4_2"],
    "style_layers": ["relu1_1"],
    "content_weight": 1.0,
    "style_weight": 1e3,
    "tv_weight": 10.0,
    "cost": "d2l",
    "network": "vgg16",
    "pooling": "max",
    "optimiser": "adam",
    "learning_rate": 0.3,
    "precision": "float32",
    "scales": [{"width": 64, "height": 48, "steps": 10}],
}

DEMO_FILES = (  # that the demo saves
    "style-china-demo-panes.jpg",
    "style-china.jpg",
    "style-curve.png",
    "style-obama-stained-glass.jpg",
    "style-panes.png",
    "style-preview.jpg",
    "style-samples.jpg",
)


@dataclass
class FakeStyle(FakeModels):
    """Networks of the fake server; tests read them and change what comes out."""

    worker = "style"

    losses: dict[str, float] = field(default_factory=lambda: dict(LOSSES))  # of all that is made
    painting: bytes = PAINTING
    at_once: bytes = AT_ONCE

    def __post_init__(self) -> None:
        self.add("stained-glass", in_use=True, created_at=None)
        methods: dict[str, Answer] = {
            "transfer": self.paint,
            "apply": self.apply,
            "train": self.train,
            "export": self.export,
            "import": self.bring_in,
        }
        self.answer(methods)
        self.api.kept["style.transfer"] = check("style.transfer", self.stop_painting, self.asked)

    def add(self, model: str, **facts: Any) -> str:
        known = {"width": 32, "blocks": 5, "installed": True, "metrics": {}, "origin": {}}
        made = {"in_use": False, "created_at": 1.9e9}
        self.models.append({"model": model, **known, **made, **facts})
        return model

    def add_version(self, name: str) -> str:
        return self.add(f"{name}@{len(self.models)}")

    def paint(self, asked: dict[str, Any]) -> dict[str, Any]:
        if self.api.blobs[asked["content"]] == b"broken":
            raise JobFailed("invalid_input", "The picture is damaged.")
        return {
            "picture": self.api.add_blob(self.painting),
            "width": 64,
            "height": 48,
            "steps": asked["steps"] or 10,
            "finished": True,
            "start": START,
            "losses": self.losses,
            "recipe": RECIPE,
            "curve": self.api.add_blob(CURVE),
        }

    def stop_painting(self, asked: dict[str, Any]) -> dict[str, Any]:
        """What the last preview showed."""
        picture = self.api.add_blob(HALF_DONE)
        return {**self.paint(asked), "picture": picture, "steps": 5, "finished": False}

    def apply(self, asked: dict[str, Any]) -> dict[str, Any]:
        if self.api.blobs[asked["picture"]] == b"broken":
            raise JobFailed("invalid_input", "The picture is damaged.")
        model = self.find(asked["model"] or "stained-glass")
        return {
            "picture": self.api.add_blob(self.at_once),
            "width": 64,
            "height": 48,
            "model": model,
        }

    def train(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {
            "model": self.add_version(asked["name"]),
            "start": START,
            "losses": self.losses,
            "steps": asked["steps"],
            "pictures": 8,
            "left_out": 0,
            "parameters": 1000,
            "curve": self.api.add_blob(CURVE),
            "samples": self.api.add_blob(SAMPLES),
        }

    def export(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {
            "model": self.find(asked["model"]),
            "format": asked["format"],
            "file": self.api.add_blob(FILE),
            "bytes": len(FILE),
            "inputs": {"pictures": ["batch", 3, "height", "width"]},
            "outputs": {"painted": ["batch", 3, "height", "width"]},
            "difference": 1e-6,
        }

    def bring_in(self, asked: dict[str, Any]) -> dict[str, Any]:
        facts = {"width": 32, "blocks": 5, "parameters": 1000}
        return {"model": self.add_version(asked["name"]), **facts}


def show_previews(api: FakeApi, count: int) -> list[bytes]:
    """Let jobs tell of so many previews, and of steps between them."""
    shown = [f"preview {number}".encode() for number in range(1, count + 1)]
    for number, content in enumerate(shown, 1):
        told = {"fraction": number / 10, "step": f"step {number} of 10: content 1.23"}
        picture = api.add_blob(content)
        api.events.append((f"{number}a", "preview", {**told, "preview": picture}))
        api.events.append((f"{number}b", "progress", {**told, "preview": None}))
    return shown
