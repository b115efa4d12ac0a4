"""Tasks that make a detector and tell how good one is: train, evaluate."""

from typing import Literal

from pydantic import Field

from shared.contract import Message, Task
from workers.detect.fields import Format, Iou, LabelledZip, Model, OwnName, Score, Seed
from workers.detect.yolo_config import MAX_BOXES, MAX_GRID, MAX_SIDE

DAY = 86_400.0  # seconds


class TrainRequest(Message):
    """Train a YOLO (Redmon et al., 2016) on your own labelled pictures."""

    data: LabelledZip
    format: Format | None = Field(None, description="Only needed if there are several.")
    name: OwnName = "detector"
    preset: Literal["small", "efficientnet-lite0", "fast-yolo", "yolo-v1"] = Field(
        "small",
        description="small: minutes on two processor cores; efficientnet-lite0: starts from a "
        "network that knows photographs; fast-yolo and yolo-v1: the paper's, for GPUs.",
    )
    pretrained: bool = Field(
        True, description="Of efficientnet-lite0: start from weights learned on ImageNet."
    )
    side: int = Field(224, ge=32, le=MAX_SIDE, description="Pixels of the square the network sees.")
    grid: int = Field(
        14,
        ge=1,
        le=MAX_GRID,
        description="Cells along a side; each can hold one object. side / grid is 16 or 32 pixels, "
        "of the paper's networks 64.",
    )
    boxes: int = Field(2, ge=1, le=MAX_BOXES, description="Boxes that each cell predicts.")
    confidence: Literal["iou", "one"] = Field(
        "iou",
        description="What the score learns to be: the overlap with the object, as in the paper, "
        "or 1, which makes scores higher.",
    )
    bordered: bool = Field(False, description="Pictures keep their shape, between grey borders.")
    augment: bool = Field(True, description="Change size, place and colours by chance.")
    flip: bool = Field(True, description="Of augment: also swap left and right.")
    epochs: int = Field(60, ge=1, le=10_000, description="At most.")
    batch_size: int = Field(16, ge=1, le=512, description="Pictures of a step.")
    parts: int = Field(1, ge=1, le=64, description="Of a batch, one after the other: less memory.")
    optimiser: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = Field(2e-3, gt=0, le=10, description="The highest.")
    weight_decay: float = Field(5e-4, ge=0, le=1)
    held_out: float = Field(
        0.2, ge=0, le=0.9, description="Part to measure on, if the data has no part val."
    )
    patience: int = Field(
        20, ge=1, le=10_000, description="Epochs without a better measure, then it stops."
    )
    seed: Seed = 0
    score_threshold: Score | None = Field(
        None,
        description="Of the model in use, unless a job says. By default the one with the best F1 "
        "on the held-out pictures, or 0.25 without them.",
    )


class TrainResult(Message):
    """The trained model, and how well it finds what it was not shown."""

    model: str = Field("", description="Name and version.")
    classes: list[str]
    metrics: dict[str, float] = Field(
        description="map50: mean average precision at an overlap of 0.5 on the held-out pictures, "
        "counting boxes that score 0.05 or more; map50_of_sure: those of 0.5 or more."
    )
    score_threshold: float = Field(description="Of the model in use, unless a job says.")
    epochs: int
    best_epoch: int = Field(description="The one whose weights are kept.")
    stopped_early: bool
    pictures: dict[str, int] = Field(description="How many were learned from and held out.")
    objects: dict[str, int] = Field(description="How many of each class, of all pictures.")
    left_out: int = Field(description="Boxes without area, off the picture, or there twice.")
    parameters: int
    curve: str = Field(description="The blob id of a picture of the loss and the precision.")
    precision_recall: str | None = Field(None, description="The blob id of a picture.")
    samples: str | None = Field(
        None, description="The blob id of a picture: held-out pictures with what is found."
    )


class EvaluateRequest(Message):
    """Measure a detector on labelled pictures."""

    data: LabelledZip
    format: Format | None = Field(None, description="Only needed if there are several.")
    part: Literal["train", "val", "test"] | None = Field(None, description="Only this one.")
    model: Model | None = None
    score_threshold: Score = Field(0.05, description="Boxes that score less do not count.")
    iou_threshold: Iou | None = None
    max_detections: int = Field(100, ge=1, le=1000)
    overlap: float = Field(0.5, gt=0, le=1, description="IoU from which a box is right.")
    interpolation: Literal["all-point", "11-point"] = Field(
        "all-point", description="Of the curve: as in VOC 2010 and later, or as in VOC 2007."
    )
    inclusive: bool = Field(
        False, description="Boxes are a pixel wider than their edges differ, as the VOC devkit has."
    )


class CocoView(Message):
    """As COCO measures it; none where there are no objects of that size."""

    average: float | None = Field(description="The mean over overlaps of 0.5, 0.55 ... 0.95.")
    at_50: float | None
    at_75: float | None
    small: float | None = Field(description="Objects of less than 32 x 32 pixels.")
    medium: float | None
    large: float | None = Field(description="More than 96 x 96.")


class ClassView(Message):
    """How well one class is found."""

    average_precision: float
    objects: int
    recall: float = Field(description="Of the objects, found at the model's own threshold.")
    precision: float | None = Field(
        description="Of the boxes at that threshold, right; none if there is no box."
    )


class EvaluateResult(Message):
    """How well a detector finds what is labelled."""

    model: str
    pictures: int
    objects: int
    mean_average_precision: float = Field(description="Of the classes that have objects.")
    mean_of_sure: float = Field(description="The same if only boxes that score 0.5 or more count.")
    classes: dict[str, ClassView]
    coco: CocoView
    own_threshold: float = Field(description="The score threshold of the model itself.")
    precision_recall: str = Field(description="The blob id of a picture.")


_EMPTY_ZIP = "data:application/zip;base64,UEsDBAAAAAA="

TRAIN = Task(
    "detect.train",
    TrainRequest,
    TrainResult,
    "Train a detector on labelled pictures.",
    example={"data": _EMPTY_ZIP, "name": "raccoons", "epochs": 60},
    time_limit=7 * DAY,
    long=True,
    scope="detect:train",
)
EVALUATE = Task(
    "detect.evaluate",
    EvaluateRequest,
    EvaluateResult,
    "Measure a detector on labelled pictures, as Pascal VOC and COCO do.",
    example={"data": _EMPTY_ZIP, "model": "nanodet-g"},
    time_limit=6 * 3600.0,
    long=True,
)
TASKS = [TRAIN, EVALUATE]
