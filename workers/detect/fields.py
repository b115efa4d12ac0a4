"""Fields that several detect tasks have."""

from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field

from shared.contract import ASKED_NAME, OWN_NAME, Blob, Message, forbid
from workers.detect.yolo_config import MAX_CLASSES

Published = Literal["nanodet-g", "yolov3-tiny"]
DEFAULT_MODEL: Published = "nanodet-g"  # what every worker comes with, until a model is promoted

# The score from which the boxes of each are worth showing. Measured on street pictures: from these
# both are right about equally often; from 0.25 NanoDet shows two to four times as many false boxes
# as from 0.4.
SCORE_THRESHOLDS: dict[Published, float] = {"nanodet-g": 0.4, "yolov3-tiny": 0.25}


def _check_shown(label: str) -> str:
    if not label.isprintable():
        raise ValueError("it has characters that cannot be shown")
    return label


OwnName = Annotated[
    str,
    Field(max_length=60, pattern=OWN_NAME),
    forbid(get_args(Published)),
]
Model = Annotated[
    str,
    Field(
        max_length=70,
        pattern=ASKED_NAME,
        description=f"{' or '.join(get_args(Published))}, which come with Atelier; or one of yours "
        "as name@version, or by its name: the version promoted, or else the newest. By default "
        f"the one that is promoted, or else {DEFAULT_MODEL}.",
    ),
]
Xyxy = Annotated[list[float], Field(min_length=4, max_length=4)]
Label = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_check_shown)]
Labels = Annotated[list[Label], Field(min_length=1, max_length=MAX_CLASSES)]
Iou = Annotated[
    float,
    Field(
        ge=0,
        le=1,
        description="Of two boxes of one class that overlap by more, the lower score is dropped. "
        "By default the model's own: 0.45 unless its file says otherwise.",
    ),
]
Score = Annotated[float, Field(ge=0, le=1)]
Format = Literal["voc", "coco", "yolo"]
LabelledZip = Annotated[
    str,
    Blob(("application/zip",)),
    Field(description="A zip of pictures and their labels: VOC XML, COCO JSON or YOLO text files."),
]
Seed = Annotated[int, Field(ge=0, le=2**31)]


class Looking(Message):
    """How a detector looks at pictures, and which boxes it shows."""

    model: Model | None = None
    score_threshold: Score | None = Field(
        None,
        description="Boxes that score less are dropped. By default the model's own: "
        + ", ".join(f"{score} for {name}" for name, score in SCORE_THRESHOLDS.items())
        + ".",
    )
    iou_threshold: Iou | None = None
    max_detections: int = Field(100, ge=1, le=1000, description="The best so many are kept.")
    classes: Labels | None = Field(None, description="Only look for these labels.")
    class_agnostic: bool | None = Field(
        None, description="Boxes of different classes drop each other too."
    )
    decay: Literal["drop", "linear", "gaussian"] | None = Field(
        None,
        description="What becomes of a box that overlaps a better one: it is dropped, or its score "
        "is lowered (Soft-NMS, Bodla et al., 2017). By default the model's own: drop.",
    )
