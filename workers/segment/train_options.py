"""What fixes a training of segmentation, what it tells while it runs, and what comes out."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from workers.segment.augment import Augmentation, Size
from workers.segment.fcn import FCN
from workers.segment.fcn_config import FcnConfig
from workers.segment.fields import MAX_SIDE, MIN_SIDE, Stride
from workers.segment.labelled import LabelledPictures

STRIDES: tuple[Stride, ...] = (32, 16, 8)
DEFAULT_LARGEST = 512  # pixels: what is finer is seldom worth its time


class Diverged(ValueError):
    """The loss is no number any more."""


@dataclass(frozen=True)
class TrainOptions:
    """What fixes the result, together with the data.

    A network that is not trained at once learns in stages, as the paper's: FCN-32s, then 16s and
    8s, each of which starts with the weights of the one before.
    """

    network: FcnConfig
    augmentation: Augmentation = field(default_factory=Augmentation)
    # Pixels of the shorter side that pictures are scaled to, learned from or looked at; None: what
    # `choose_resolution` says of those learned from.
    resolution: int | None = None
    window: Size = (224, 224)  # height and width of what is learned from a scaled picture
    epochs: int = 14  # of each stage
    batch: int = 8  # pictures of a step
    # A step's pictures are computed in so many parts, one after the other, to take less memory.
    # Batch normalisation sees each part alone.
    parts: int = 1
    optimiser: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = 2e-3  # the highest
    refining: float = 0.5  # what it is multiplied with for each stage after the first
    momentum: float = 0.9  # of SGD; the authors took 0.99 for steps of one picture
    weight_decay: float = 5e-4  # of weights, not of biases and norms
    warm_up: float = 1.0  # epochs in which the rate rises
    clip: float = 10.0  # longest gradient of a mean; those of sums stay as they are
    summed: bool = False  # the loss of a step is that of all its pixels, as the authors' is
    balanced: bool = False  # pixels of rare classes weigh more
    frozen: int = 0  # stages of the encoder, from the picture on, that keep their first weights
    averaging: float = 0.0  # how much of the average of the weights stays at a step; 0: none
    half: bool = True  # bfloat16 on CUDA; most CPUs are slower with it
    validation: float = 0.2  # share of the pictures only looked at, if the data names none
    check_every: int = 1  # epochs between looks at the validation pictures
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch, self.parts, self.check_every, *self.window) < 1:
            raise ValueError("Epochs, batch, parts, check_every and window must be 1 or more each.")
        if not 0 <= self.frozen <= len(self.network.shape.widths):
            raise ValueError(f"Of the encoder's five stages, {self.frozen} cannot be frozen.")
        if self.resolution is not None and not MIN_SIDE <= self.resolution <= MAX_SIDE:
            raise ValueError(f"The resolution must be between {MIN_SIDE} and {MAX_SIDE} pixels.")

    @property
    def stages(self) -> tuple[FcnConfig, ...]:
        """The networks that are trained, one after the other."""
        if self.network.at_once:
            return (self.network,)
        return tuple(
            replace(self.network, stride=stride)
            for stride in STRIDES
            if stride >= self.network.stride
        )


@dataclass(frozen=True)
class Epoch:
    stride: int  # of the network of its stage
    loss: float  # mean of a pixel, or a step's sum of them, over the epoch
    mean_iou: float | None = None  # of the validation pictures, in [0, 1]; None if nobody looked


@dataclass(frozen=True)
class Progress:
    fraction: float  # [0, 1]
    stride: int  # of the network that learns
    epoch: int  # from 1 on, over all stages
    epochs: int
    loss: float  # mean of this epoch so far
    history: tuple[Epoch, ...]  # the whole epochs


@dataclass(frozen=True)
class Trained:
    network: FCN  # of the last stage, its weights when they were best, on the CPU
    history: tuple[Epoch, ...]
    best: int  # the epoch whose weights these are, from 1 on
    resolution: int  # that it has learned at


def list_looks(history: Iterable[Epoch], stride: int) -> list[float]:
    """The mean IoU of each look at the validation pictures in a stage."""
    looks = (epoch.mean_iou for epoch in history if epoch.stride == stride)
    return [look for look in looks if look is not None]


def schedule(step: int, batches: int, stage: int, options: TrainOptions) -> float:
    """The learning rate at a step of a stage: a line up, half a cosine down to 0."""
    highest = options.learning_rate * options.refining**stage
    warm_up, steps = round(options.warm_up * batches), options.epochs * batches
    if step < warm_up:
        return highest * (step + 1) / warm_up
    done = (step - warm_up) / max(1, steps - warm_up)
    return highest * (1 + math.cos(math.pi * done)) / 2


def split_parts(
    data: LabelledPictures, options: TrainOptions
) -> tuple[LabelledPictures, LabelledPictures | None]:
    """(to learn from, to choose the best weights by); the second is None if it shows no class.

    The data's own parts count; if it has no "val", a share of the others is taken. What is in
    "test" is not looked at. Raises ValueError, which says what to do, if nothing is left to learn
    from, or for a network of other classes.
    """
    if options.network.classes != len(data.classes):
        raise ValueError(
            f"The data has {len(data.classes)} classes, the network {options.network.classes}."
        )
    free = tuple(one for one in data.pictures if one.part in ("", "train"))
    if not free:
        raise ValueError(
            "There is nothing to learn from: all pictures are in part "
            f"{' or '.join(data.parts())}. Put others into part train."
        )
    learning = replace(data, pictures=free)
    if "val" in data.parts():
        held = data.part("val")
    else:
        learning, held = learning.split(options.validation, options.seed)
    if not learning.pictures:
        raise ValueError(
            f"There is nothing to learn from: so large a share is held out of {len(free)} pictures "
            "that all of them are. Hold out a smaller share, or add pictures that differ."
        )
    if not learning.count().any():
        raise ValueError(
            f"There is no pixel with a class to learn from: all of the {len(learning.pictures)} "
            "masks are void. Correct them, or add others."
        )
    return learning, held if held.count().any() else None


def choose_resolution(data: LabelledPictures) -> int:
    """The middle one of the shorter sides, in pixels, but DEFAULT_LARGEST at most."""
    sides = sorted(min(one.width, one.height) for one in data.pictures)
    return min(max(MIN_SIDE, sides[len(sides) // 2]), DEFAULT_LARGEST)
