"""Fields that several segment tasks have."""

from typing import Annotated, Literal, get_args

from pydantic import Field

from shared.contract import ASKED_NAME, OWN_NAME, Blob, Message, forbid

Published = Literal["fcn-8s-camvid", "selfie", "fcn-resnet50"]
DEFAULT_MODEL: Published = "fcn-8s-camvid"  # until a model is promoted

Encoder = Literal["efficientnet-lite0", "thin", "vgg16-slim", "vgg16"]
Stride = Literal[32, 16, 8]
MAX_CLASSES = 255  # a mask's index 255 is no class
MIN_SIDE, MAX_SIDE = 16, 8192  # pixels of the shorter side that a network looks at


OwnName = Annotated[str, Field(max_length=60, pattern=OWN_NAME), forbid(get_args(Published))]
Model = Annotated[
    str,
    Field(
        max_length=70,
        pattern=ASKED_NAME,
        description=f"{', '.join(get_args(Published))}, which come with Atelier; or one of yours "
        "as name@version, or by its name: the version promoted, or else the newest. By default the "
        f"one that is promoted, or else {DEFAULT_MODEL}.",
    ),
]
Label = Annotated[str, Field(min_length=1, max_length=100)]
Labels = Annotated[list[Label], Field(min_length=1, max_length=MAX_CLASSES)]
Share = Annotated[float, Field(ge=0, le=1)]
Byte = Annotated[int, Field(ge=0, le=255)]
Colour = tuple[Byte, Byte, Byte]  # red, green, blue
Seed = Annotated[int, Field(ge=0, le=2**31)]
Format = Literal["voc", "lists", "folders", "coco"]
MaskedZip = Annotated[
    str,
    Blob(("application/zip",)),
    Field(
        description="A zip of pictures and their masks: Pascal VOC; lists of pairs such as "
        "train_pairs.txt; folders images/ and masks/; or a COCO JSON with segmentations."
    ),
]
Resolution = Annotated[
    int,
    Field(
        ge=MIN_SIDE,
        le=MAX_SIDE,
        description="Pixels of the shorter side of what the network looks at; the picture is "
        "scaled, and the answer scaled back. By default what the model was trained on. Larger "
        "shows finer things and takes longer. selfie has its own alone.",
    ),
]


class Looking(Message):
    """How a network looks at pictures."""

    model: Model | None = None
    resolution: Resolution | None = None
