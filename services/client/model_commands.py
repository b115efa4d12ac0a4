"""The commands on trained models, which every worker that trains some has alike."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from services.client.console import USAGE, connect, leave
from services.client.facts import format_time, show_facts, show_rows
from services.client.options import Json
from services.client.saved_files import check_writable, is_folder, save_file
from services.client.watch import run_task

SHOWN = 5  # classes named in a row


class FileFormat(StrEnum):
    onnx = "onnx"
    atelier = "atelier"


SUFFIXES = {FileFormat.onnx: ".onnx", FileFormat.atelier: ".safetensors"}

Exported = Annotated[str, typer.Argument(metavar="MODEL", help="A name, or name@version.")]
Output = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE|DIR",
        help="By default MODEL.onnx or MODEL.safetensors.",
    ),
]
Weights = Annotated[Path, typer.Argument(metavar="FILE", help="The weights.")]


@dataclass(frozen=True)
class Models:
    """What a worker's models are called, and how they are listed."""

    worker: str
    noun: str
    example: str  # name@version
    default: str  # comes with Atelier; promoting it rolls back
    columns: tuple[str, ...]  # besides the model, when it was made, and if it is in use
    describe: Callable[[dict[str, Any]], tuple[str, ...]]  # what stands in them

    def answer(self, method: str, request: Mapping[str, Any], as_json: bool) -> None:
        """Run a task whose result is the list of models, and show that."""
        with connect() as client:
            found = run_task(client, f"{self.worker}.{method}", request)["models"]
            show_rows(("model", *self.columns, "made", "in use"), found, self._make_row, as_json)

    def _make_row(self, model: dict[str, Any]) -> tuple[str, ...]:
        made = "" if model["created_at"] is None else format_time(model["created_at"])
        in_use = "yes" if model["in_use"] else ""
        return (model["model"], *self.describe(model), made, in_use)


def make_commands(models: Models) -> typer.Typer:
    """`models`, `promote` and `forget`."""
    app = typer.Typer()
    noun, example = models.noun, f"Such as {models.example}"

    @app.command("models", help=f"List the {noun}s you can use.")
    def list_models(as_json: Json = False) -> None:
        models.answer("models", {}, as_json)

    @app.command(
        help=f"Put a {noun} in use for the jobs that name none; an older version rolls back."
    )
    def promote(
        model: Annotated[
            str,
            typer.Argument(metavar="MODEL", help=f"{example}; {models.default} rolls back."),
        ],
        as_json: Json = False,
    ) -> None:
        models.answer("promote", {"model": model}, as_json)

    @app.command(help=f"Delete a version of a {noun}, and its file.")
    def forget(
        model: Annotated[str, typer.Argument(metavar="MODEL", help=f"{example}.")],
        as_json: Json = False,
    ) -> None:
        if "@" not in model:
            listed = f"`atelier {models.worker} models` lists them"
            raise leave(f"Only versions can be deleted, such as {models.example}: {listed}.", USAGE)
        models.answer("forget", {"model": model}, as_json)

    return app


def save_model(task: str, request: Mapping[str, Any], output: Path | None, as_json: bool) -> None:
    """Write the file of an export; in a folder, by default here, under the model's name."""
    target, suffix = output or Path(), SUFFIXES[request["format"]]
    in_folder = is_folder(target)
    check_writable(target / f"model{suffix}" if in_folder else target)
    with connect() as client:
        result = run_task(client, task, request)
        file = target / f"{result['model']}{suffix}" if in_folder else target
        saved = save_file(client, result.pop("file"), file)
    show_facts(task, {**result, "saved": str(saved)}, as_json)


def send_model(
    task: str, files: Mapping[str, Path | None], request: Mapping[str, Any], as_json: bool
) -> None:
    """Import the files that are given, each for a field of the request."""
    given = {name: path for name, path in files.items() if path is not None}
    for path in given.values():
        if not path.is_file():
            raise leave(f"There is no file {path}.", USAGE)
    with connect() as client:
        sent = {name: client.upload(path)["id"] for name, path in given.items()}
        result = run_task(client, task, {**request, **sent})
    show_facts(task, result, as_json)


def name_classes(names: list[str]) -> str:
    """The first of them, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
