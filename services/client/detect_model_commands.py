"""`atelier detect models | promote | forget | export | import`: what becomes of detectors."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from services.client.console import USAGE, leave
from services.client.detect_options import Score
from services.client.model_commands import (
    Exported,
    FileFormat,
    Models,
    Output,
    Weights,
    make_commands,
    name_classes,
    save_model,
    send_model,
)
from services.client.options import Json, Name

ANCHORS = 6  # of YOLOv3-tiny


class Kind(StrEnum):
    atelier = "atelier"
    darknet = "darknet"


def _describe(model: dict[str, Any]) -> tuple[str, ...]:
    precision = model["metrics"].get("map50")
    measured = "" if precision is None else f"{precision:.3f}"
    return name_classes(model["classes"]), str(model["side"]), measured


DETECTORS = Models(
    worker="detect",
    noun="detector",
    example="raccoons@2",
    default="nanodet-g",
    columns=("classes", "side", "mean average precision"),
    describe=_describe,
)
app = make_commands(DETECTORS)


@app.command("export")
def export_model(
    model: Exported,
    format: Annotated[
        FileFormat, typer.Option(help="For other programs, or for `atelier detect import`.")
    ] = FileFormat.onnx,
    output: Output = None,
    as_json: Json = False,
) -> None:
    """Write a detector into a file."""
    save_model("detect.export", {"model": model, "format": format}, output, as_json)


@app.command("import")
def import_model(
    file: Weights,
    kind: Annotated[
        Kind, typer.Option(help="What `atelier detect export` wrote; or of a yolov3-tiny.cfg.")
    ] = Kind.atelier,
    name: Name = "detector",
    classes: Annotated[
        Path | None, typer.Option(metavar="FILE.names", help="Of darknet: a class on each line.")
    ] = None,
    anchors: Annotated[
        str | None,
        typer.Option(
            metavar='"23,27, 37,58, ..."',
            help="Of darknet, without a .cfg: three of the fine grid, then three of the coarse.",
        ),
    ] = None,
    cfg: Annotated[
        Path | None, typer.Option(metavar="FILE.cfg", help="Of darknet: anchors, masks and side.")
    ] = None,
    stretched: Annotated[
        bool, typer.Option("--stretched", help="Of darknet: trained on stretched pictures.")
    ] = False,
    score: Score = None,
    as_json: Json = False,
) -> None:
    """Bring in a detector that was trained elsewhere."""
    request = {
        "kind": kind,
        "name": name,
        "classes": _read_names(classes) if classes else None,
        "anchors": _read_anchors(anchors) if anchors else None,
        "bordered": not stretched,
        "score_threshold": score,
    }
    send_model("detect.import", {"file": file, "cfg": cfg}, request, as_json)


def _read_names(file: Path) -> list[str]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise leave(f"{file} cannot be read as a list of classes: {error}.", USAGE) from error
    return [line.strip() for line in lines if line.strip()]


def _read_anchors(text: str) -> list[list[int]]:
    """Pairs of width and height, from numbers with commas between."""
    try:
        numbers = [int(number) for number in text.split(",")]
    except ValueError as error:
        raise leave(f"--anchors: {error}.", USAGE) from error
    if len(numbers) != 2 * ANCHORS:
        raise leave(f"--anchors: {ANCHORS} pairs are needed, not {len(numbers)} numbers.", USAGE)
    return [numbers[place : place + 2] for place in range(0, len(numbers), 2)]
