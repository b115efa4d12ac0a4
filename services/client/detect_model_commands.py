"""`atelier detect models | promote | forget | export | import`: what becomes of detectors."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from services.client.console import USAGE, connect, leave
from services.client.detect_options import FullModel, Json, Name, Score, check_folder_of
from services.client.facts import format_time, show_facts, show_rows
from services.client.watch import run_task

app = typer.Typer()

SHOWN = 5  # classes named in a row
ANCHORS = 6  # of YOLOv3-tiny


class FileFormat(StrEnum):
    onnx = "onnx"
    atelier = "atelier"


class Kind(StrEnum):
    atelier = "atelier"
    darknet = "darknet"


SUFFIXES = {FileFormat.onnx: ".onnx", FileFormat.atelier: ".safetensors"}


@app.command()
def models(as_json: Json = False) -> None:
    """List the detectors you can use."""
    with connect() as client:
        _show_models(run_task(client, "detect.models", {})["models"], as_json)


@app.command()
def promote(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="Such as raccoons@2; nanodet-g rolls back.")
    ],
    as_json: Json = False,
) -> None:
    """Put a detector in use for the jobs that name none; an older version rolls back."""
    with connect() as client:
        _show_models(run_task(client, "detect.promote", {"model": model})["models"], as_json)


@app.command()
def forget(model: FullModel, as_json: Json = False) -> None:
    """Delete a version of a detector, and its file."""
    with connect() as client:
        _show_models(run_task(client, "detect.forget", {"model": model})["models"], as_json)


@app.command("export")
def export_model(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A name, or name@version.")],
    format: Annotated[
        FileFormat, typer.Option(help="For other programs, or for `atelier detect import`.")
    ] = FileFormat.onnx,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="MODEL.onnx, or MODEL.safetensors."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a detector into a file."""
    check_folder_of(output or Path(model))
    with connect() as client:
        result = run_task(client, "detect.export", {"model": model, "format": format})
        default = Path(f"{result['model']}{SUFFIXES[format]}")
        saved = client.download(result.pop("file"), output or default)
    show_facts("detect.export", {**result, "saved": str(saved)}, as_json)


@app.command("import")
def import_model(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The weights.")],
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
    for path in (file, cfg):
        if path is not None and not path.is_file():
            raise leave(f"There is no file {path}.", USAGE)
    request = {
        "kind": kind,
        "name": name,
        "classes": _read_names(classes) if classes else None,
        "anchors": _read_anchors(anchors) if anchors else None,
        "bordered": not stretched,
        "score_threshold": score,
    }
    with connect() as client:
        request["file"] = client.upload(file)["id"]
        request["cfg"] = client.upload(cfg)["id"] if cfg else None
        result = run_task(client, "detect.import", request)
    show_facts("detect.import", result, as_json)


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


def _show_models(found: list[dict[str, Any]], as_json: bool) -> None:
    columns = ("model", "classes", "side", "mean average precision", "made", "in use")
    show_rows(columns, found, _make_row, as_json)


def _make_row(model: dict[str, Any]) -> tuple[str, ...]:
    names, precision, made = model["classes"], model["metrics"].get("map50"), model["created_at"]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return (
        model["model"],
        ", ".join(names[:SHOWN]) + more,
        str(model["side"]),
        "" if precision is None else f"{precision:.3f}",
        "" if made is None else format_time(made),
        "yes" if model["in_use"] else "",
    )
