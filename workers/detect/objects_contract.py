"""The task that finds the objects of one picture."""

from pydantic import Field

from shared.contract import GREY_DOT, Message, Picture, Task
from workers.detect.fields import Looking, Xyxy


class ObjectsRequest(Looking):
    """Find the objects in one picture."""

    picture: Picture
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
    model: str = Field(description="The one that looked; of yours, with its version.")


OBJECTS = Task(
    name="detect.objects",
    request=ObjectsRequest,
    result=ObjectsResult,
    summary="Find objects: a box, a label and a score for each; of the 80 COCO classes, or yours.",
    example={"picture": GREY_DOT, "model": "nanodet-g", "annotate": False},
    max_batch=8,
    time_limit=60.0,
)
TASKS = [OBJECTS]
