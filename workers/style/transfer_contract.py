"""The task that paints a picture anew, by optimisation: only its pixels are learned."""

from typing import Literal

from pydantic import Field

from shared.contract import GREY_DOT, Message, Picture, Task
from workers.style.fields import (
    DAY,
    MAX_STYLES,
    Colours,
    Cost,
    Layers,
    Losses,
    Network,
    Pooling,
    Precision,
    Seed,
    Side,
    Weight,
)

Preset = Literal["quick", "d2l_v1", "d2l_v2", "gatys"]
Optimiser = Literal["adam", "lbfgs"]


class TransferRequest(Message):
    """Paint a picture in the manner of others (Gatys, Ecker and Bethge, 2016)."""

    content: Picture
    styles: list[Picture] = Field(min_length=1, max_length=MAX_STYLES)
    style_weights: list[Weight] | None = Field(
        None, max_length=MAX_STYLES, description="Of each style; by default all are alike."
    )
    preset: Preset = Field(
        "quick",
        description="Layers, weights and steps to begin with; what else is given replaces its "
        "own. quick: two sizes, few steps; d2l_v1, d2l_v2: Dive into Deep Learning, first and "
        "second edition; gatys: average pooling and L-BFGS.",
    )
    size: Side | None = Field(
        None,
        description="Pixels of the longer side of the result. By default the preset's, but no "
        "more than the content has.",
    )
    steps: int | None = Field(None, ge=1, le=10_000, description="Over all scales.")
    scales: int | None = Field(
        None, ge=1, le=4, description="Sizes, each twice the one before, from coarse to fine."
    )
    strength: float = Field(1.0, ge=0, le=1000, description="Times the weight of the style.")
    content_weight: Weight | None = None
    style_weight: Weight | None = None
    tv_weight: Weight | None = None
    content_layers: Layers | None = None
    style_layers: Layers | None = None
    network: Network = Field(
        "vgg16", description="vgg19 must be pulled first: `atelier weights pull vgg19.pth`."
    )
    pooling: Pooling | None = None
    cost: Cost | None = Field(
        None,
        description="How the style of a layer is measured: d2l, the mean of squared differences "
        "of Gram matrices divided by channels and pixels; ng, which is c^2/4 times that where a "
        "layer has c channels, so deep layers count for more.",
    )
    optimiser: Optimiser | None = None
    learning_rate: float | None = Field(None, gt=0, le=100)
    start: Literal["content", "noise"] = "content"
    seed: Seed = Field(0, description="Of the noise.")
    style_scale: float = Field(
        1.0, ge=0.1, le=4, description="Size of a style's marks: 1 if both pictures are as large."
    )
    colours: Colours = Field(
        "style", description="content: the style is in brightness alone, the colours stay."
    )
    mask: Picture | None = Field(
        None,
        description="Painted is where it is light; where black or transparent, the picture stays.",
    )
    preview_every: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="Steps between previews, but at least a 200th of all; by default some seconds.",
    )
    precision: Literal["auto", Precision] = Field(
        "auto", description="Of the network. auto: bfloat16 where the hardware is faster so."
    )
    format: Literal["jpeg", "png"] = "jpeg"


class Scale(Message):
    """One of the sizes that are painted, from coarse to fine."""

    width: int
    height: int
    steps: int


class Recipe(Message):
    """All that a painting was made by: the preset's, but for what was asked."""

    content_layers: list[str]
    style_layers: list[str]
    content_weight: float
    style_weight: float = Field(description="With the strength.")
    tv_weight: float
    cost: Cost
    network: Network
    pooling: Pooling
    optimiser: Optimiser
    learning_rate: float = Field(description="At first.")
    precision: Precision
    scales: list[Scale]


class TransferResult(Message):
    """The painting; of a cancelled job what its last preview showed."""

    picture: str = Field(description="The blob id of a JPEG or PNG.")
    width: int
    height: int
    steps: int = Field(description="That were done.")
    finished: bool = Field(description="False: it was cancelled before.")
    start: Losses = Field(
        description="Before the first step at its last size, in the painting's precision, of "
        "pixels that may be beyond white and black."
    )
    losses: Losses = Field(
        description="Of the picture, computed in 32 bits; with colours=content, of the grey "
        "painting (as start), whose colours return afterwards."
    )
    recipe: Recipe
    curve: str | None = Field(None, description="The blob id of a picture of the losses.")


TRANSFER = Task(
    "style.transfer",
    TransferRequest,
    TransferResult,
    "Paint a picture in the manner of others, step by step, with previews.",
    example={"content": GREY_DOT, "styles": [GREY_DOT], "preset": "quick", "size": 64, "steps": 2},
    max_batch=4,  # where a machine gains by it: see StyleWorker.count_together
    time_limit=DAY,
    long=True,
)
TASKS = [TRANSFER]
