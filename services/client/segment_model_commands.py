"""`atelier segment models | promote | forget | export | import`: what becomes of networks."""

from typing import Annotated, Any

import typer

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
from services.client.requests import check_request


def _describe(model: dict[str, Any]) -> tuple[str, ...]:
    known, measured = model["metrics"].get("mean_iou"), ""
    if not model["installed"]:
        measured = "not pulled yet"
    elif known is not None:
        measured = f"{known:.3f}"
    network = model["encoder"] + (f", stride {model['stride']}" if model["stride"] else "")
    return name_classes(model["classes"]), network, str(model["resolution"]), measured


NETWORKS = Models(
    worker="segment",
    noun="network",
    example="streets@2",
    default="fcn-8s-camvid",
    columns=("classes", "network", "resolution", "mean IoU"),
    describe=_describe,
)
app = make_commands(NETWORKS)


@app.command("export")
def export_model(
    model: Exported,
    format: Annotated[
        FileFormat, typer.Option(help="For other programs, or for `atelier segment import`.")
    ] = FileFormat.onnx,
    height: Annotated[
        int | None,
        typer.Option(
            min=32, max=2048, help="Of the pictures of an ONNX; the resolution unless given."
        ),
    ] = None,
    width: Annotated[
        int | None, typer.Option(min=32, max=2048, help="4/3 of the height unless given.")
    ] = None,
    output: Output = None,
    as_json: Json = False,
) -> None:
    """Write a network into a file."""
    request = {"model": model, "format": format, "height": height, "width": width}
    check_request("segment.export", request)
    save_model("segment.export", request, output, as_json)


@app.command("import")
def import_model(file: Weights, name: Name = "segmenter", as_json: Json = False) -> None:
    """Bring in a network that was trained elsewhere.

    FILE is what `atelier segment export --format atelier` wrote, or the training's own command.
    """
    request = {"name": name}
    check_request("segment.import", request)
    send_model("segment.import", {"file": file}, request, as_json)
