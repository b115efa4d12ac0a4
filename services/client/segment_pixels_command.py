"""`atelier segment pixels`, or `atelier segment` alone: a class for every pixel of photographs."""

import re
from collections.abc import Collection, Iterator, Mapping
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from services.client.batch import Batch, Outcome, Plan
from services.client.client import Client
from services.client.console import SOME_FAILED, connect, format_json
from services.client.job import Job
from services.client.options import Parallel
from services.client.photo_jobs import find_or_leave, list_facts, run_batch
from services.client.photos import SEGMENTED, name_results
from services.client.report import Report
from services.client.requests import check_request
from services.client.saved_files import keep_files, make_folder
from services.client.segment_options import Model, Resolution

app = typer.Typer()

TASK = "segment.pixels"
FOLDER = Path(SEGMENTED)  # of results; made if needed, and theirs alone
SHOWN = 5  # classes named in a row
LONGEST = 40  # characters of a class in the name of a file
COLUMNS = ("shows", "model", "saved")


class Shapes(StrEnum):
    polygons = "polygons"
    rle = "rle"


@app.command()
def pixels(
    photos: Annotated[
        list[str], typer.Argument(metavar="PHOTO...", help="Files, folders or quoted globs.")
    ],
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Put masks, overlays and the rest here.")
    ] = FOLDER,
    force: Annotated[
        bool, typer.Option("--force", help="Replace files that are in another DIR already.")
    ] = False,
    model: Model = None,
    resolution: Resolution = None,
    overlay: Annotated[bool, typer.Option(help="Draw the classes' colours over the photo.")] = True,
    opacity: Annotated[
        float | None, typer.Option(min=0, max=1, help="Of these colours; 0.5 unless given.")
    ] = None,
    heat_maps: Annotated[
        bool, typer.Option("--heat-maps", help="Draw how likely each class is everywhere.")
    ] = False,
    shapes: Annotated[
        Shapes | None,
        typer.Option(help="Write the regions as a COCO JSON; rle, run lengths, is exact."),
    ] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option(
            "--class", metavar="NAME", help="Heat maps and shapes of these alone; repeatable."
        ),
    ] = None,
    parallel: Parallel = 8,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per photo.")] = False,
) -> None:
    """Give every pixel of photographs a class.

    Saves PHOTO-mask.png, whose indices are the classes, and PHOTO-overlay.jpg; if they are asked
    for PHOTO-heat-NAME.png and PHOTO-shapes.json. Only in the folder segmented are earlier ones
    of a photo replaced or deleted, and a photo never is. Ends with 0 if all succeeded, 1 if some
    failed, 2 if there is nothing to do or a file in the way, 3 without a server or a valid key,
    and 130 after Ctrl-C, which cancels what is under way.
    """
    found = find_or_leave(photos)
    chosen = {
        "model": model,
        "resolution": resolution,
        "overlay": overlay,
        "opacity": opacity,
        "heat_maps": heat_maps,
        "shapes": shapes,
        "classes": classes or None,
    }
    check_request(TASK, chosen)
    options = {name: value for name, value in chosen.items() if value is not None}
    make_folder(out)
    places = name_results(found, out, "")
    keep_files(found, _list_taken(out, places.values(), options), force or out == FOLDER)

    tidied = out == FOLDER and out.resolve() not in {photo.resolve().parent for photo in found}
    export = partial(_export, places) if as_json else None
    report = Report(len(found), "segment", partial(_describe, places), export, COLUMNS)
    with connect() as client:
        plan = Plan(
            TASK,
            lambda blob_id: {"picture": blob_id, **options},
            save=lambda photo, job: _save(client, _read(job), places[photo], tidied),
        )
        run_batch(Batch(client, plan, min(parallel, len(found))), found, report)
    report.finish()
    if report.failures:
        raise typer.Exit(SOME_FAILED)


def _list_taken(folder: Path, places: Collection[Path], options: Mapping[str, Any]) -> list[Path]:
    """What is there already under names that the results have, or may have for their classes."""
    drawn = {"overlay.jpg": options["overlay"], "shapes.json": "shapes" in options}
    endings = ["mask.png", *(ending for ending, wanted in drawn.items() if wanted)]
    names = {f"{place.name}-{ending}" for place in places for ending in endings}
    starts = tuple(f"{place.name}-heat-" for place in places if options["heat_maps"])
    files = sorted(folder.iterdir())
    return [file for file in files if file.name in names or file.name.startswith(starts)]


def name_files(result: dict[str, Any], place: Path) -> dict[Path, str]:
    """The blob of each file of a result, by the file that it goes to; `place` is without ending."""
    return {
        place.with_name(f"{place.name}-{ending}"): blob_id
        for ending, blob_id in _list_files(result)
        if blob_id
    }


def _list_files(result: dict[str, Any]) -> Iterator[tuple[str, str | None]]:
    """(how its name ends, blob id); a class may have any name: only its words are taken."""
    yield "mask.png", result["mask"]
    yield "overlay.jpg", result["overlay"]
    taken: set[str] = set()
    for heat_map in result["heat_maps"] or ():
        name = re.sub(r"\W+", "-", heat_map["label"])[:LONGEST].strip("-")
        while name.casefold() in {"", *taken}:  # some file systems do not tell A from a
            name = f"{name}-{heat_map['class_id']}"
        taken.add(name.casefold())
        yield f"heat-{name}.png", heat_map["picture"]
    yield "shapes.json", result["shapes"]


def _save(client: Client, result: dict[str, Any], place: Path, tidied: bool) -> Path:
    """All files of a result; answers with the mask's.

    `tidied`: nothing but results is in the folder, so earlier ones of the photo are deleted.
    """
    names = name_files(result, place)
    if tidied:
        for file in _list_optional(place).difference(names):
            file.unlink()
    files = [client.download(blob_id, file) for file, blob_id in names.items()]
    return files[0]


def _list_optional(place: Path) -> set[Path]:
    """What is there of the files that not every result has, but for those of other photos.

    PHOTO-heat-x-heat-Road.png is of a photo called PHOTO-heat-x, if that has a mask.
    """
    names = {file.name for file in place.parent.iterdir()}
    masked = {name.removesuffix("-mask.png") for name in names if name.endswith("-mask.png")}
    found = _match_optional(place.name, names)
    for other in masked:
        if other.startswith(f"{place.name}-"):
            found -= _match_optional(other, found)
    return {place.with_name(name) for name in found}


def _match_optional(photo: str, names: Collection[str]) -> set[str]:
    """Those that a result of the photo may have; no mask is one."""
    ours = re.compile(re.escape(photo) + r"-(overlay\.jpg|shapes\.json|heat-.*(?<!-mask)\.png)")
    return {name for name in names if ours.fullmatch(name)}


def _describe(places: dict[Path, Path], outcome: Outcome) -> str:
    """The largest classes with their shares, the model, and the files."""
    result = _read(outcome.job)
    areas = result["areas"]
    shown = ", ".join(f"{area['label']} {area['share']:.1%}" for area in areas[:SHOWN])
    more = f" and {len(areas) - SHOWN} more" if len(areas) > SHOWN else ""
    files = ", ".join(map(str, name_files(result, places[outcome.photo])))
    return "\t".join((shown + more, result["model"], files))


def _export(places: dict[Path, Path], outcome: Outcome) -> str:
    saved = name_files(_read(outcome.job), places[outcome.photo]) if outcome.saved else {}
    return format_json({**list_facts(outcome), "saved": [*map(str, saved)]})


def _read(job: Job | None) -> dict[str, Any]:
    return (job.result if job else None) or {}
