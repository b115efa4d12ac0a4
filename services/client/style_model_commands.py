"""`atelier style models | promote | forget | export | import`: what becomes of networks."""

from typing import Annotated, Any

import typer

from services.client.model_commands import (
    Exported,
    FileFormat,
    Models,
    Output,
    Weights,
    make_commands,
    save_model,
    send_model,
)
from services.client.options import Json, Name
from services.client.requests import check_request


def _describe(model: dict[str, Any]) -> tuple[str, ...]:
    if not model["installed"]:
        return "", "", "not there: install Atelier again"
    return str(model["width"]), str(model["blocks"]), ""


NETWORKS = Models(
    worker="style",
    noun="network",
    example="waves@2",
    default="stained-glass",
    columns=("channels", "blocks", "file"),
    describe=_describe,
)
app = make_commands(NETWORKS)


@app.command("export")
def export_model(
    model: Exported,
    format: Annotated[
        FileFormat, typer.Option(help="For other programs, or for `atelier style import`.")
    ] = FileFormat.onnx,
    output: Output = None,
    as_json: Json = False,
) -> None:
    """Write a network into a file; an ONNX takes pictures of any size."""
    request = {"model": model, "format": format}
    check_request("style.export", request)
    save_model("style.export", request, output, as_json)


@app.command("import")
def import_model(file: Weights, name: Name = "style", as_json: Json = False) -> None:
    """Bring in a network that was trained elsewhere.

    FILE is what `atelier style export --format atelier` wrote, or the training's own command.
    """
    request = {"name": name}
    check_request("style.import", request)
    send_model("style.import", {"file": file}, request, as_json)
