"""A worker of tests whose models are texts, and jobs that register them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from shared.blobs import Blobs
from shared.contract import Message
from shared.db import Sessions
from tests.workers.desk import Desk
from workers.runtime.trained import TrainedModels


class Order(Message):
    """What a job asks for that makes a model."""

    name: str = "number"
    epochs: int = 3


class Outcome(Message):
    model: str = ""
    names: list[str] = []


@dataclass
class Worker:
    sessions: Sessions
    blobs: Blobs
    models: TrainedModels


def open_desk(sessions: Sessions, folder: Path) -> Desk[Worker]:
    """Of a new tenant; the files lie in the folder."""
    blobs = Blobs(f"file://{folder}/blobs", sessions)
    return Desk(Worker(sessions, blobs, TrainedModels("quiz", sessions, blobs)))


def register(desk: Desk[Worker], value: float = 1.0, name: str = "number", **facts: Any) -> str:
    """The name and version of a new model of the kind `number`."""
    run = desk.make(Order(name=name))
    tensors = {"value": torch.tensor([value], dtype=torch.float32)}
    desk.worker.models.add(run, "number", name, tensors, {"unit": "m"}, {"loss": 0.5}, facts)
    made = desk.finish(run, Outcome())
    assert isinstance(made, Outcome)
    return made.model


def build(tensors: dict[str, Tensor], about: dict[str, Any]) -> str:
    """The model itself, as a text."""
    return f"{tensors['value'].item()} {about['unit']}"
