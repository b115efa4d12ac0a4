"""`atelier faces train | models | promote`: make an encoder of your own, and choose one."""

import tempfile
import zipfile
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from services.client.client import Client
from services.client.console import USAGE, connect, leave, tell, write_json, write_table
from services.client.faces_enroll_command import list_portraits
from services.client.faces_options import Json
from services.client.facts import show_facts
from services.client.saved_files import check_writable, save_file
from services.client.watch import run_task

app = typer.Typer()


class Loss(StrEnum):
    triplet = "triplet"
    contrastive = "contrastive"


class Mining(StrEnum):
    random = "random"
    semi_hard = "semi-hard"
    batch_hard = "batch-hard"


@app.command()
def train(
    pictures: Annotated[
        Path, typer.Argument(metavar="FOLDER|ZIP", help="With a folder for each person in it.")
    ],
    name: Annotated[str, typer.Option(help="The model's name; its version is counted.")] = (
        "siamese"
    ),
    steps: Annotated[int, typer.Option(min=1, max=100_000)] = 600,
    loss: Loss = Loss.triplet,
    mining: Annotated[Mining, typer.Option(help="How triplets are chosen.")] = Mining.batch_hard,
    seed: Annotated[int, typer.Option(min=0, max=2**31)] = 0,
    roc: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where the ROC picture goes; MODEL-roc.jpg."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Train an encoder on photographs of your own, and test it on people it never saw.

    Ctrl-C stops the training on the server as well.
    """
    options = {"name": name, "steps": steps, "loss": loss, "mining": mining, "seed": seed}
    check_writable(roc or Path("model-roc.jpg"))
    with connect() as client:
        request = {"pictures": _send(client, pictures), **options}
        result = run_task(client, "faces.train", request)
        picture = save_file(client, result["roc"], roc or Path(f"{result['model']}-roc.jpg"))
    if as_json:
        write_json({**result, "saved": str(picture)})
        return
    del result["roc"]
    show_facts("faces.train", result, as_json)
    tell(
        f"The ROC curve is in {picture}. `atelier faces promote {result['model']}` puts it in use."
    )


@app.command()
def models(as_json: Json = False) -> None:
    """List the encoders you can use."""
    with connect() as client:
        _show_models(run_task(client, "faces.models", {})["models"], as_json)


@app.command()
def promote(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Such as siamese@2.")],
    as_json: Json = False,
) -> None:
    """Make a model the one that new collections get; an older version rolls back."""
    with connect() as client:
        _show_models(run_task(client, "faces.promote", {"model": model})["models"], as_json)


def _send(client: Client, pictures: Path) -> str:
    """The blob id of a zip, or of the zip of a folder."""
    if pictures.is_file():
        return str(client.upload(pictures)["id"])
    if not pictures.is_dir():
        raise leave(f"There is no folder or zip {pictures}.", USAGE)
    portraits = list_portraits([str(pictures)], None)
    with tempfile.NamedTemporaryFile(suffix=".zip") as file:
        # Photographs are compressed already.
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for portrait in portraits:
                archive.write(portrait.photo, f"{portrait.subject}/{portrait.photo.name}")
        file.flush()
        tell(f"Sending {len(portraits)} photographs.")
        return str(client.upload(Path(file.name))["id"])


def _show_models(models: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        for model in models:
            write_json(model)
        return
    columns = ("model", "numbers", "equal error rate", "new collections")
    write_table(columns, map(_make_row, models))


def _make_row(model: dict[str, Any]) -> tuple[str, ...]:
    error = model["metrics"].get("eer")
    chosen = "get this one" if model["default"] else ""
    rate = "" if error is None else f"{error:.1%}"
    return model["model"], str(model["dimensions"]), rate, chosen
