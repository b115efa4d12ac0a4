"""`atelier style apply`: photos painted at once, by a network that was trained on one style."""

import errno
from pathlib import Path
from typing import Annotated, Any

import typer

from services.client.batch import Batch, Outcome, Plan, Save
from services.client.client import Client
from services.client.console import SOME_FAILED, connect
from services.client.job import Job
from services.client.options import Parallel
from services.client.photo_jobs import export_json, find_or_leave, run_batch
from services.client.photos import PAINTED, name_results
from services.client.report import Report
from services.client.requests import check_request
from services.client.saved_files import make_folder
from services.client.style_options import Colour, Colours, Force, Model

app = typer.Typer()

TASK = "style.apply"
FOLDER = Path(PAINTED)  # of results; made if needed, and theirs alone
COLUMNS = ("size", "model", "saved")


@app.command()
def apply(
    photos: Annotated[
        list[str], typer.Argument(metavar="PHOTO...", help="Files, folders or quoted globs.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Put the paintings here.")] = FOLDER,
    force: Force = False,
    model: Model = None,
    size: Annotated[
        int | None,
        typer.Option(
            min=32,
            max=2048,
            help="Pixels of the longer side of a painting; unless given, the photo's, but no more "
            "than 1024.",
        ),
    ] = None,
    strength: Annotated[
        float, typer.Option(min=0, max=1, help="Below 1 the photo shines through.")
    ] = 1.0,
    colours: Colours = Colour.style,
    parallel: Parallel = 8,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per photo.")] = False,
) -> None:
    """Paint photos at once, by a network that was trained on one style.

    Saves PHOTO-MODEL.jpg. Only in the folder painted are earlier ones replaced, and a photo never
    is. Ends with 0 if all succeeded, 1 if some failed, 2 if there is nothing to do, 3 without a
    server or a valid key, and 130 after Ctrl-C, which cancels what is under way.
    """
    found = find_or_leave(photos)
    chosen = {"model": model, "size": size, "strength": strength, "colours": colours}
    check_request(TASK, chosen)
    options = {name: value for name, value in chosen.items() if value is not None}
    make_folder(out)
    export = export_json if as_json else None
    report = Report(len(found), "paint", _describe, export, COLUMNS)
    with connect() as client:
        plan = Plan(
            TASK,
            lambda blob_id: {"picture": blob_id, **options},
            save=_save_paintings(client, found, out, force or out == FOLDER),
        )
        run_batch(Batch(client, plan, min(parallel, len(found))), found, report)
    report.finish()
    if report.failures:
        raise typer.Exit(SOME_FAILED)


def _save_paintings(client: Client, photos: list[Path], folder: Path, replace: bool) -> Save:
    """Which model painted is known then: only now can a file be in the way."""
    places = name_results(photos, folder, "")
    given = {photo.resolve() for photo in photos}

    def save(photo: Path, job: Job) -> Path | None:
        result = job.result or {}
        file = places[photo].with_name(f"{places[photo].name}-{result['model']}.jpg")
        if file.resolve() in given or (file.exists() and not replace):
            raise FileExistsError(errno.EEXIST, "Not replaced, see --force and --out", str(file))
        return client.download(result["picture"], file)

    return save


def _describe(outcome: Outcome) -> str:
    result: dict[str, Any] = (outcome.job.result if outcome.job else None) or {}
    size = f"{result['width']} x {result['height']}"
    return "\t".join((size, result["model"], str(outcome.saved)))
