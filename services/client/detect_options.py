"""Arguments and options that several `atelier detect` commands have."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

Data = Annotated[
    Path,
    typer.Argument(
        metavar="FOLDER|ZIP", help="Pictures and their labels: VOC XML, COCO JSON or YOLO text."
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        help="nanodet-g, yolov3-tiny, or one of yours: NAME or NAME@VERSION; by default the one "
        "in use."
    ),
]
Score = Annotated[
    float | None, typer.Option("--score", min=0, max=1, help="Leave out less certain objects.")
]
Iou = Annotated[
    float | None,
    typer.Option("--iou", min=0, max=1, help="Overlap from which boxes are one object."),
]
Classes = Annotated[
    list[str] | None, typer.Option("--class", metavar="LABEL", help="Only these; repeatable.")
]
ClassAgnostic = Annotated[
    bool, typer.Option("--class-agnostic", help="Boxes of different classes drop each other too.")
]


class Decay(StrEnum):
    drop = "drop"
    linear = "linear"
    gaussian = "gaussian"


HowDropped = Annotated[
    Decay | None,
    typer.Option("--decay", help="Drop a box that overlaps a better one, or lower its score."),
]


class LabelFormat(StrEnum):
    voc = "voc"
    coco = "coco"
    yolo = "yolo"


Format = Annotated[
    LabelFormat | None, typer.Option("--format", help="Only needed if there are several.")
]


def describe_look(
    model: str | None,
    score: float | None,
    iou: float | None,
    maximum: int | None,
    classes: list[str] | None,
    class_agnostic: bool,
    decay: Decay | None,
) -> dict[str, Any]:
    """The part of a request that says how to look; without what was left open."""
    options = {
        "model": model,
        "score_threshold": score,
        "iou_threshold": iou,
        "max_detections": maximum,
        "classes": classes or None,
        "class_agnostic": class_agnostic or None,
        "decay": decay,
    }
    return {name: value for name, value in options.items() if value is not None}
