"""What the detect worker accepts and answers."""

from typing import Annotated, Literal

from pydantic import Field

from shared.contract import Message, Picture, Task

Xyxy = Annotated[list[float], Field(min_length=4, max_length=4)]
Model = Literal["nanodet-g", "yolov3-tiny"]

# The score from which the boxes of each are worth showing. Measured on street pictures: from these
# both are right about equally often; from 0.25 NanoDet shows two to four times as many false boxes
# as from 0.4.
SCORE_THRESHOLDS: dict[Model, float] = {"nanodet-g": 0.4, "yolov3-tiny": 0.25}


class ObjectsRequest(Message):
    """Find the objects in one picture."""

    picture: Picture
    model: Model = Field(
        "nanodet-g",
        description="The network that looks: NanoDet-g finds more, YOLOv3-tiny is the classic.",
    )
    score_threshold: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Boxes that score less are dropped. By default the model's own: "
        + ", ".join(f"{score} for {name}" for name, score in SCORE_THRESHOLDS.items())
        + ".",
    )
    iou_threshold: float = Field(
        0.45,
        ge=0,
        le=1,
        description="Of two boxes of one class that overlap by more, the lower score is dropped.",
    )
    max_detections: int = Field(100, ge=1, le=1000, description="The best so many boxes are kept.")
    classes: list[str] | None = Field(
        None, min_length=1, max_length=100, description="Only look for these labels."
    )
    annotate: bool = Field(False, description="Also draw the boxes into a copy of the picture.")


class Box(Message):
    """One object."""

    label: str
    class_id: int
    score: float
    xyxy: Xyxy = Field(description="Left, top, right, bottom in pixels of the upright picture.")


class ObjectsResult(Message):
    """The objects in one picture, the best score first."""

    width: int
    height: int
    boxes: list[Box]
    annotated: str | None = Field(None, description="The blob id of a JPEG with the boxes drawn.")
    model: Model


# A grey dot, so that the example is a valid request on its own.
_DOT = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
)

OBJECTS = Task(
    name="detect.objects",
    request=ObjectsRequest,
    result=ObjectsResult,
    summary="Find objects of the 80 COCO classes: a box, a label and a score for each.",
    example={"picture": _DOT, "model": "nanodet-g", "annotate": False},
    max_batch=8,
    time_limit=60.0,
)

TASKS = [OBJECTS]
