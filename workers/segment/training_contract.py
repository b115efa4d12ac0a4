"""Tasks that make a segmentation network and tell how good one is: train, evaluate."""

from typing import Literal

from pydantic import Field

from shared.contract import Message, Task
from workers.segment.fields import (
    Encoder,
    Format,
    Looking,
    MaskedZip,
    OwnName,
    Resolution,
    Seed,
    Share,
    Stride,
)

DAY = 86_400.0  # seconds


class TrainRequest(Message):
    """Train an FCN (Long, Shelhamer and Darrell, 2015) on your own pictures and masks."""

    data: MaskedZip
    format: Format | None = Field(None, description="Only needed if there are several.")
    name: OwnName = "segmenter"
    encoder: Encoder = Field(
        "efficientnet-lite0",
        description="efficientnet-lite0 and vgg16-slim start from networks that know photographs; "
        "thin: 1.3 million numbers, from scratch, in minutes; vgg16: the paper's, 134 million, "
        "for GPUs.",
    )
    stride: Stride = Field(8, description="FCN-32s, 16s or 8s: the smaller, the finer.")
    at_once: bool = Field(
        True,
        description="Train all score layers together. False: in stages, 32s, then 16s, then 8s, "
        "as the paper does; each has `epochs`.",
    )
    fc6_padding: Literal[0, 1, 3, 100] | None = Field(
        None,
        description="Zeros around what fc6 sees: 0, half of its kernel, which is the default (1; "
        "3 of vgg16), or 100 around the picture, as in the paper.",
    )
    pretrained: bool = Field(True, description="Start from weights learned on ImageNet.")
    frozen: int = Field(
        0, ge=0, le=5, description="Stages of the encoder, of five, that keep their first weights."
    )
    height: int = Field(
        240, ge=32, le=2048, description="Of the windows it learns from, pixels at `resolution`."
    )
    width: int = Field(320, ge=32, le=2048)
    epochs: int = Field(30, ge=1, le=10_000, description="Of each stage.")
    batch_size: int = Field(8, ge=1, le=256, description="Windows of a step.")
    parts: int = Field(1, ge=1, le=64, description="Of a batch, one after the other: less memory.")
    augment: bool = Field(True, description="Change size, place and light by chance.")
    flip: bool = Field(True, description="Of augment: also swap left and right.")
    optimiser: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = Field(2e-3, gt=0, le=10, description="The highest.")
    weight_decay: float = Field(5e-4, ge=0, le=1)
    balanced: bool = Field(False, description="Pixels of rare classes weigh more.")
    averaging: float = Field(
        0.99, ge=0, lt=1, description="How much of the average of the weights stays at a step."
    )
    held_out: float = Field(
        0.2,
        ge=0,
        le=0.9,
        description="Part to measure on, drawn by chance, if the data has no part val. Frames of "
        "one video are alike: name a part val of other scenes, or the measures are too good.",
    )
    resolution: Resolution | None = Field(
        None,
        description="Pixels of the shorter side that pictures are scaled to before windows are "
        "cut, when the model is measured and when it is used; by default the middle one of the "
        "pictures learned from, but 512 at most.",
    )
    seed: Seed = 0


class ClassView(Message):
    """How well one class is found; none where it divides by no pixels."""

    share: Share = Field(description="Of the pixels that have a class.")
    iou: float | None = Field(description="Those found as a share of all that have, or got, it.")
    accuracy: float | None = Field(description="Share of its pixels that were found.")


class Measures(Message):
    """The four measures of the paper, in [0, 1], of pixels that have a class."""

    pixel_accuracy: Share
    mean_accuracy: Share = Field(description="Over the classes that occur.")
    mean_iou: Share
    frequency_weighted_iou: Share


class TrainResult(Message):
    """The trained model, and how well it segments what it was not shown."""

    model: str = Field("", description="Name and version.")
    classes: list[str]
    measures: Measures | None = Field(
        description="On the held-out pictures, by which the best epoch was chosen too."
    )
    per_class: dict[str, ClassView] = Field(description="On the held-out pictures.")
    resolution: int = Field(description="That it has learned at, and is used at.")
    loss: float
    epochs: int
    best_epoch: int = Field(description="The one whose weights are kept.")
    pictures: dict[str, int] = Field(description="How many were learned from and held out.")
    without_mask: int = Field(description="Pictures that were left out.")
    parameters: int
    curve: str = Field(description="The blob id of a picture of the loss and the mean IoU.")
    samples: str | None = Field(
        None, description="The blob id of a picture: held-out pictures with truth and answer."
    )


class EvaluateRequest(Looking):
    """Measure a network on pictures and masks."""

    data: MaskedZip
    format: Format | None = Field(None, description="Only needed if there are several.")
    part: Literal["train", "val", "test"] | None = Field(None, description="Only this one.")


class EvaluateResult(Message):
    """How well a network segments pictures whose masks are known."""

    model: str
    pictures: int
    pixels: int = Field(description="That have a class.")
    measures: Measures
    per_class: dict[str, ClassView]
    confusion: str = Field(description="The blob id of a picture: what was taken for what.")
    samples: str = Field(description="The blob id of a picture: pictures with truth and answer.")


_EMPTY_ZIP = "data:application/zip;base64,UEsDBAAAAAA="

TRAIN = Task(
    "segment.train",
    TrainRequest,
    TrainResult,
    "Train a segmentation network on pictures and masks.",
    example={"data": _EMPTY_ZIP, "name": "streets", "epochs": 30},
    time_limit=7 * DAY,
    long=True,
    scope="segment:train",
)
EVALUATE = Task(
    "segment.evaluate",
    EvaluateRequest,
    EvaluateResult,
    "Measure a segmentation network on pictures and masks.",
    example={"data": _EMPTY_ZIP, "model": "fcn-8s-camvid"},
    time_limit=6 * 3600.0,
    long=True,
)
TASKS = [TRAIN, EVALUATE]
