"""What fixes the training of a detector, what it tells while it runs, and what comes out."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from workers.detect.augment import Augmentation
from workers.detect.average_precision import ignored
from workers.detect.labelled import LabelledPicture, LabelledPictures
from workers.detect.yolo import Yolo
from workers.detect.yolo_config import YoloConfig
from workers.detect.yolo_loss import LossSettings

TERMS = ("centre", "size", "object", "no_object", "classes")  # of the loss
MOST_GROWTH = 1000  # times the first epoch's loss: it exploded, and may be no infinity yet
ADVICE = "Lower the learning rate."


class Diverged(ValueError):
    """The loss or the weights grew beyond all bounds."""


@dataclass(frozen=True)
class TrainOptions:
    """What fixes the result, together with the data."""

    network: YoloConfig
    loss: LossSettings = field(default_factory=LossSettings)
    augmentation: Augmentation = field(default_factory=Augmentation)
    bordered: bool = False  # pictures keep their shape, between grey borders
    epochs: int = 80
    batch: int = 16  # pictures of a step
    # A step's pictures are computed in so many parts, one after the other, to take less memory.
    # Batch normalisation sees each part alone.
    parts: int = 1
    optimiser: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = 2e-3  # the highest
    momentum: float = 0.9  # of SGD
    weight_decay: float = 5e-4  # paper, section 2.2; of weights, not of biases and norms
    warm_up: float = 1.0  # epochs in which the rate rises
    clip: float = 10.0  # longest gradient
    averaging: float = 0.999  # how much of the average of the weights stays at a step
    half: bool = True  # bfloat16 on CUDA; most CPUs are slower with it
    validation: float = 0.2  # share of the pictures only looked at, if the data names none
    check_every: int = 1  # epochs between looks at the validation pictures
    patience: int = 20  # such looks without a better one, once anything was found; then it stops
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch, self.parts, self.check_every, self.patience) < 1:
            raise ValueError(
                "Epochs, batch, parts, check_every and patience must be 1 or more each."
            )


@dataclass(frozen=True)
class Epoch:
    terms: Mapping[str, float]  # of the loss, mean over the epoch
    mean_average_precision: float | None = None  # in [0, 1]; None if nobody looked

    @property
    def loss(self) -> float:
        return sum(self.terms.values())


@dataclass(frozen=True)
class Progress:
    fraction: float  # [0, 1]
    epoch: int  # from 1 on
    epochs: int
    terms: Mapping[str, float]  # of the loss, mean of this epoch so far
    history: tuple[Epoch, ...]  # the whole epochs

    @property
    def loss(self) -> float:
        return sum(self.terms.values())

    @property
    def mean_average_precision(self) -> float | None:
        """Of the last look at the validation pictures, in [0, 1]."""
        looks = list_looks(self.history)
        return looks[-1] if looks else None


@dataclass(frozen=True)
class Trained:
    network: Yolo  # the average of its weights when it was best, on the CPU
    history: tuple[Epoch, ...]
    best: int  # the epoch whose weights these are, from 1 on
    stopped_early: bool


def list_looks(history: Iterable[Epoch]) -> list[float]:
    """The mean average precision of each look at the validation pictures."""
    looks = (epoch.mean_average_precision for epoch in history)
    return [value for value in looks if value is not None]


def count_waited(looks: Sequence[float]) -> int:
    """The looks since the best one; none before the first that found anything."""
    return len(looks) - 1 - int(np.argmax(looks)) if any(looks) else 0


def find_best(history: Sequence[Epoch]) -> int:
    """The epoch with the best look, from 1 on, of equal ones the last; without looks the last."""
    best = max(list_looks(history), default=None)
    looks = [epoch.mean_average_precision for epoch in history]
    return len(looks) - looks[::-1].index(best)


def check_finite(terms: Mapping[str, float]) -> None:
    """Raises Diverged for a loss that is no number."""
    if not all(math.isfinite(term) for term in terms.values()):
        raise Diverged(f"The loss is no number any more. {ADVICE}")


def check_growth(terms: Mapping[str, float], history: Sequence[Epoch]) -> None:
    """Raises Diverged for an epoch's loss that is many times that of the first one."""
    loss = sum(terms.values())
    if history and loss > MOST_GROWTH * history[0].loss:
        raise Diverged(f"The loss grew from {history[0].loss:.2g} to {loss:.2g}. {ADVICE}")


def schedule(step: int, batches: int, options: TrainOptions) -> float:
    """The learning rate, for epochs of so many batches: a line up, half a cosine down to 0."""
    warm_up, steps = round(options.warm_up * batches), options.epochs * batches
    if step < warm_up:
        return options.learning_rate * (step + 1) / warm_up
    done = (step - warm_up) / max(1, steps - warm_up)
    return options.learning_rate * (1 + math.cos(math.pi * done)) / 2


def split_parts(
    data: LabelledPictures, options: TrainOptions
) -> tuple[LabelledPictures, LabelledPictures | None]:
    """(to learn from, to stop by); the second is None if nothing with objects can be spared.

    The data's own parts count; if it has no "val", a share of the others is taken. What is in
    "test" is not looked at. Raises ValueError if nothing is left to learn from, for a part "val"
    without objects, or for a network of other classes.
    """
    if options.network.classes != len(data.names):
        raise ValueError(
            f"The data has {len(data.names)} classes, the network {options.network.classes}."
        )
    free = tuple(picture for picture in data.pictures if picture.part in ("", "train"))
    learning = replace(data, pictures=free)
    if "val" in data.parts():
        held = data.part("val")
        if not list_shown(held):
            raise ValueError("The part val has no object to find: label some, or leave it out.")
    else:
        learning, held = _hold_out(learning, options.validation, options.seed)
    if not list_shown(learning):
        raise ValueError(
            "There is no object to learn from. It needs labelled pictures that are not held out: "
            "lower `held_out`, or send some in the part train."
        )
    return learning, held if list_shown(held) else None


def list_shown(data: LabelledPictures) -> tuple[LabelledPicture, ...]:
    """The pictures that have objects to find."""
    return tuple(one for one in data.pictures if (~ignored(one.labels)).any())


def _hold_out(
    data: LabelledPictures, share: float, seed: int
) -> tuple[LabelledPictures, LabelledPictures]:
    """As `split`, but what is held out of a share above 0 has an object if two pictures have."""
    learning, held = data.split(share, seed)
    shown = list_shown(data)
    if share <= 0 or list_shown(held) or len({one.digest for one in shown}) < 2:
        return learning, held
    _, first = replace(data, pictures=shown).split(1 / len(shown), seed)
    taken = {one.digest for one in (*held.pictures, *first.pictures)}
    sides = [
        [one for one in data.pictures if (one.digest in taken) is side] for side in (False, True)
    ]
    return replace(data, pictures=tuple(sides[0])), replace(data, pictures=tuple(sides[1]))
