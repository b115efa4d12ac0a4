"""The task that makes a one-pass network of a style, and the one that paints with it."""

from typing import Annotated

from pydantic import Field

from shared.contract import GREY_DOT, Blob, Message, Picture, Task
from workers.style.fields import (
    DAY,
    Colours,
    Layer,
    Layers,
    Losses,
    Model,
    OwnName,
    Seed,
    Share,
    Side,
    Weight,
)

PictureZip = Annotated[
    str,
    Blob(("application/zip",)),
    Field(description="A zip of JPEG, PNG or WEBP pictures, in any folders."),
]


class TrainRequest(Message):
    """Train a network that paints any picture in one style, at once (Johnson et al., 2016)."""

    style: Picture
    data: PictureZip
    name: OwnName = "style"
    window: int = Field(
        192, ge=32, le=1024, description="Pixels of a side of the squares it learns from."
    )
    style_size: Side = Field(
        256, description="Pixels of the longer side of the style: larger gives larger marks."
    )
    steps: int = Field(2000, ge=1, le=1_000_000)
    batch_size: int = Field(2, ge=1, le=64)
    width: int = Field(32, ge=4, le=64, description="Channels of its first layer.")
    blocks: int = Field(5, ge=1, le=16, description="Residual blocks.")
    content_layer: Layer = "relu3_3"
    style_layers: Layers = ["relu1_2", "relu2_2", "relu3_3", "relu4_3"]
    content_weight: Weight = 1.0
    style_weight: Weight = Field(
        5.0,
        description="Of how far Gram matrices are from the style's, relative to their own size.",
    )
    tv_weight: Weight = 1.0
    learning_rate: float = Field(1e-3, gt=0, le=1)
    seed: Seed = 0


class TrainResult(Message):
    """The trained network, and how it paints."""

    model: str = Field("", description="Name and version.")
    start: Losses = Field(description="Of the first steps.")
    losses: Losses = Field(description="Of the last steps.")
    steps: int
    pictures: int = Field(description="That it learned from.")
    left_out: int = Field(description="Files of the zip that are no pictures, or not usable.")
    parameters: int
    curve: str = Field(description="The blob id of a picture of the losses.")
    samples: str = Field(description="The blob id of a picture: pictures, and as it paints them.")


class ApplyRequest(Message):
    """Paint a picture with a one-pass network."""

    picture: Picture
    model: Model | None = None
    size: Side | None = Field(
        None,
        description="Pixels of the longer side of the result; by default the picture's own, but "
        "1024 at most. Smaller gives larger marks.",
    )
    strength: Share = Field(1.0, description="0: the picture as it is.")
    colours: Colours = "style"


class ApplyResult(Message):
    picture: str = Field(description="The blob id of a JPEG.")
    width: int
    height: int
    model: str = Field(description="The one that painted; of yours, with its version.")


_EMPTY_ZIP = "data:application/zip;base64,UEsDBAAAAAA="

TRAIN = Task(
    "style.train",
    TrainRequest,
    TrainResult,
    "Train a network that paints any picture in one style, at once.",
    example={"style": GREY_DOT, "data": _EMPTY_ZIP, "name": "waves", "steps": 2000},
    time_limit=7 * DAY,
    long=True,
    scope="style:train",
)
APPLY = Task(
    "style.apply",
    ApplyRequest,
    ApplyResult,
    "Paint a picture in one pass, with a network that was trained on one style.",
    example={"picture": GREY_DOT, "model": "stained-glass"},
    max_batch=8,
    time_limit=600.0,
)
TASKS = [TRAIN, APPLY]
