"""Arguments and options that several `atelier segment` commands have."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    Path,
    typer.Argument(
        metavar="FOLDER|ZIP",
        help="Pictures and their masks: Pascal VOC, lists of pairs, folders images and masks, or "
        "a COCO JSON.",
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        help="fcn-8s-camvid, selfie, fcn-resnet50, or one of yours: NAME or NAME@VERSION; by "
        "default the one in use."
    ),
]
Resolution = Annotated[
    int | None,
    typer.Option(
        min=16,
        max=8192,
        help="Pixels of the shorter side that the network sees: larger shows finer things.",
    ),
]


class MaskFormat(StrEnum):
    voc = "voc"
    lists = "lists"
    folders = "folders"
    coco = "coco"


Format = Annotated[
    MaskFormat | None, typer.Option("--format", help="Only needed if there are several.")
]
