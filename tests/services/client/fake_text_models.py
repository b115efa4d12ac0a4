"""Answers the tasks on models of text, and on people, as the contract has it."""

from dataclasses import dataclass, field
from typing import Any

from tests.services.client.checked import check
from tests.services.client.fake_api import FakeApi, JobFailed

CURVE, WORDS, FILE = b"a picture of a loss", b"a picture of words", b"a file of vectors"
SAMPLE = "It was the best\nof times"
VECTORS = {"king": [1.0, 0.5], "queen": [0.9, 0.6], "man": [1.0, 0.0], "woman": [0.9, 0.1]}


@dataclass
class FakeTextModels:
    """Models of the fake server; tests read them and change what they are worth."""

    api: FakeApi
    models: list[dict[str, Any]] = field(default_factory=list)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)  # (task, request)
    accuracy: float = 0.9  # of a classifier
    labels: list[str] = field(default_factory=lambda: ["bad", "good"])
    neighbours: list[str] = field(default_factory=lambda: ["queen", "woman"])

    def __post_init__(self) -> None:
        answers = {
            "features": self.features,
            "embed.train": self.embed,
            "embed.nearest": self.nearest,
            "embed.lookup": self.look_up,
            "embed.project": self.project,
            "embed.export": self.export,
            "train": self.train,
            "generate": self.generate,
            "classify": self.classify,
            "models": self.list_all,
            "promote": self.promote,
            "forget": self.forget,
        }
        for name, method in answers.items():
            task = f"text.{name}"
            self.api.answers[task] = check(task, method, self.asked)

    def requests(self, name: str) -> list[dict[str, Any]]:
        return [request for task, request in self.asked if task == f"text.{name}"]

    def features(self, asked: dict[str, Any]) -> dict[str, Any]:
        vectors = []
        for person in asked["people"]:
            vector = [float(person["age"]), float(person["sex"]), *[0.0] * 197]
            vector[2] = 1.0 if person["country"] else 0.0
            vectors.append(vector)
        names = ["Afghanistan" if person["country"] else None for person in asked["people"]]
        return {"vectors": vectors, "countries": names}

    def add(self, name: str, kind: str) -> str:
        version = sum(model["model"].split("@")[0] == name for model in self.models) + 1
        facts = {"metrics": self.measure(kind), "origin": {"kind": kind}, "created_at": 1.9e9}
        model = f"{name}@{version}"
        self.models.append({"model": model, "kind": kind, "in_use": version == 1, **facts})
        return model

    def measure(self, kind: str) -> dict[str, float]:
        if kind == "classifier":
            return {"held_out_accuracy": self.accuracy, "held_out_majority": 0.3}
        return {"held_out_perplexity": 4.5} if kind == "language" else {"loss": 2.5}

    def find(self, name: str) -> str:
        for model in self.models:
            if name in (model["model"], model["model"].split("@")[0]):
                return str(model["model"])
        raise JobFailed("unknown_model", f"There is no model {name!r}.")

    def embed(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {
            "model": self.add(asked["name"], "embedding"),
            "words": len(VECTORS),
            "dimensions": asked["dimensions"],
            "tokens": 1000,
            "loss": 2.5,
            "curve": self.api.add_blob(CURVE),
            "projection": self.api.add_blob(WORDS),
        }

    def nearest(self, asked: dict[str, Any]) -> dict[str, Any]:
        near = [{"word": word, "similarity": 0.5} for word in self.neighbours[: asked["limit"]]]
        return {"model": self.find(asked["model"]), "neighbours": near}

    def look_up(self, asked: dict[str, Any]) -> dict[str, Any]:
        vectors = [VECTORS.get(word) for word in asked["words"]]
        return {"model": self.find(asked["model"]), "dimensions": 2, "vectors": vectors}

    def project(self, asked: dict[str, Any]) -> dict[str, Any]:
        words = asked["words"] or list(VECTORS)[: asked["limit"]]
        return {
            "model": self.find(asked["model"]),
            "points": [{"word": word, "x": 0.0, "y": 1.0} for word in words],
            "explained": [0.6, 0.25],
            "picture": self.api.add_blob(WORDS),
        }

    def export(self, asked: dict[str, Any]) -> dict[str, Any]:
        model = self.find(asked["model"])
        return {"model": model, "words": len(VECTORS), "file": self.api.add_blob(FILE)}

    def train(self, asked: dict[str, Any]) -> dict[str, Any]:
        language = asked["kind"] == "language"
        return {
            "model": self.add(asked["name"], asked["kind"]),
            "kind": asked["kind"],
            "metrics": self.measure(asked["kind"]),
            "epochs": asked["epochs"],
            "stopped_early": False,
            "words": 100,
            "parameters": 1000,
            "labels": None if language else self.labels,
            "curve": self.api.add_blob(CURVE),
            "sample": SAMPLE if language else None,
        }

    def generate(self, asked: dict[str, Any]) -> dict[str, Any]:
        model = self.find(asked["model"])
        text = asked["prefix"] + SAMPLE
        return {"model": model, "text": text, "continuation": SAMPLE, "perplexity": 3.0}

    def classify(self, asked: dict[str, Any]) -> dict[str, Any]:
        items = []
        for text in asked["texts"]:
            label = next((label for label in self.labels if label in text), self.labels[0])
            probabilities = dict.fromkeys(self.labels, 0.1) | {label: 0.9}
            item = {"label": label, "probability": 0.9, "probabilities": probabilities}
            items.append(item)
        return {"model": self.find(asked["model"]), "items": items}

    def list_all(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"models": self.models}

    def promote(self, asked: dict[str, Any]) -> dict[str, Any]:
        chosen = self.find(asked["model"])
        name = chosen.split("@")[0]
        for model in self.models:
            if model["model"].split("@")[0] == name:
                model["in_use"] = model["model"] == chosen
        return self.list_all({})

    def forget(self, asked: dict[str, Any]) -> dict[str, Any]:
        chosen = self.find(asked["model"])
        self.models = [model for model in self.models if model["model"] != chosen]
        return self.list_all({})
