"""Fields that several style tasks have."""

from typing import Annotated, Literal, get_args

from pydantic import Field

from shared.contract import ASKED_NAME, OWN_NAME, Message, forbid

Published = Literal["stained-glass"]
DEFAULT_MODEL: Published = "stained-glass"  # until a model is promoted

Network = Literal["vgg16", "vgg19"]
Pooling = Literal["max", "average"]
Cost = Literal["d2l", "ng"]
Colours = Literal["style", "content"]
Precision = Literal["float32", "bfloat16"]
MIN_SIDE, MAX_SIDE = 32, 2048  # pixels of the longer side of what is painted
MAX_STYLES = 8
MAX_WEIGHT = 1e12
DAY = 86_400.0  # seconds


OwnName = Annotated[str, Field(max_length=60, pattern=OWN_NAME), forbid(get_args(Published))]
Model = Annotated[
    str,
    Field(
        max_length=70,
        pattern=ASKED_NAME,
        description=f"{', '.join(get_args(Published))}, which comes with Atelier; or one of yours "
        "as name@version, or by its name: the version promoted, or else the newest. By default the "
        f"one that is promoted, or else {DEFAULT_MODEL}.",
    ),
]
Layer = Annotated[
    str,
    Field(
        pattern=r"^((conv|relu)[1-5]_[1-4]|pool[1-5])$",
        description="conv3_1: what the first convolution of the third stage gives; relu3_1: that "
        "after its ReLU; pool3: what ends the stage. vgg16 has 2, 2, 3, 3, 3 convolutions, vgg19 "
        "2, 2, 4, 4, 4.",
    ),
]
Layers = Annotated[list[Layer], Field(min_length=1, max_length=32)]
Weight = Annotated[float, Field(ge=0, le=MAX_WEIGHT)]
Seed = Annotated[int, Field(ge=0, le=2**31)]
Share = Annotated[float, Field(ge=0, le=1)]
Side = Annotated[int, Field(ge=MIN_SIDE, le=MAX_SIDE)]


class Losses(Message):
    """What is made small: each times its weight, and their sum."""

    content: float = Field(description="How far features are from those of the content.")
    style: float = Field(description="How far their Gram matrices are from those of the styles.")
    tv: float = Field(description="Total variation: how much neighbouring pixels differ.")
    total: float
