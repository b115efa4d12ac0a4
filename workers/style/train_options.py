"""What fixes a training of a one-pass network, what it tells while it runs, what comes out."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from workers.style.fields import Losses
from workers.style.one_pass import OnePass, OnePassConfig

POINTS = 100  # of the history, at most
WARM_UP = 20  # steps in which the learning rate rises, at most


class Diverged(ValueError):
    """The loss is no number any more."""


@dataclass(frozen=True)
class TrainOptions:
    """What fixes the result, together with the style and the pictures."""

    network: OnePassConfig = field(default_factory=OnePassConfig)
    window: int = 192  # pixels of a side of the squares that are painted
    style_size: int = 256  # pixels of the longer side of the style
    steps: int = 2000
    batch: int = 2  # squares of a step
    content_layer: str = "relu3_3"  # of VGG16
    style_layers: tuple[str, ...] = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")
    content_weight: float = 1.0
    style_weight: float = 5.0  # of Gram matrices relative to their size
    tv_weight: float = 1.0
    learning_rate: float = 1e-3  # of Adam, the highest
    seed: int = 0

    @property
    def looked_at(self) -> tuple[str, ...]:
        """The layers that losses need."""
        return (self.content_layer, *self.style_layers)

    @property
    def span(self) -> int:
        """How many steps a point of the history is the mean of."""
        return math.ceil(self.steps / POINTS)


@dataclass(frozen=True)
class Point:
    """Mean losses, each with its weight, of the steps since the point before."""

    step: int  # the last of them, from 1 on
    content: float
    style: float
    tv: float

    @property
    def total(self) -> float:
        return self.content + self.style + self.tv

    def view(self) -> Losses:
        return Losses(content=self.content, style=self.style, tv=self.tv, total=self.total)


@dataclass(frozen=True)
class Progress:
    fraction: float  # [0, 1]
    step: int  # those done
    steps: int
    losses: Point | None  # the newest; None before the first step
    history: tuple[Point, ...]


@dataclass(frozen=True)
class Trained:
    network: OnePass  # in eval, on the CPU
    history: tuple[Point, ...]


def view_history(history: Iterable[Point]) -> dict[int, Losses]:
    return {point.step: point.view() for point in history}


def name_metrics(history: Sequence[Point]) -> dict[str, float]:
    """What is registered beside a network: the losses of the first steps, and of the last."""
    return {
        f"{when}_{name}": value
        for when, point in (("start", history[0]), ("end", history[-1]))
        for name, value in point.view().model_dump().items()
    } | {"steps": float(history[-1].step)}


def schedule(step: int, options: TrainOptions) -> float:
    """The learning rate at a step: a line up, half a cosine down to 0."""
    warm_up = min(WARM_UP, options.steps // 10)
    if step < warm_up:
        return options.learning_rate * (step + 1) / warm_up
    done = (step - warm_up) / (options.steps - warm_up)
    return options.learning_rate * (1 + math.cos(math.pi * done)) / 2
