"""`atelier detect objects`, or `atelier detect` alone: find objects in many photographs."""

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from services.client.batch import Batch, Outcome, Plan
from services.client.console import SOME_FAILED, USAGE, connect, leave
from services.client.detect_options import (
    ClassAgnostic,
    Classes,
    HowDropped,
    Iou,
    Model,
    Score,
    describe_look,
)
from services.client.options import Parallel
from services.client.photo_jobs import export_json, find_or_leave, run_batch, save_drawn
from services.client.report import Report
from services.client.requests import check_request

app = typer.Typer()

SHOWN = 8  # objects named in a row
TASK = "detect.objects"


class Priority(StrEnum):
    low = "low"
    normal = "normal"
    high = "high"


@app.command()
def objects(
    photos: Annotated[
        list[str], typer.Argument(metavar="PHOTO...", help="Files, folders or quoted globs.")
    ],
    save: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Put pictures with the boxes drawn here.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per photo.")] = False,
    model: Model = None,
    score: Score = None,
    iou: Iou = None,
    maximum: Annotated[
        int | None, typer.Option("--max", min=1, help="Objects per photo at most.")
    ] = None,
    classes: Classes = None,
    class_agnostic: ClassAgnostic = False,
    decay: HowDropped = None,
    priority: Annotated[Priority, typer.Option(help="Before or after your other jobs.")] = (
        Priority.normal
    ),
    wait: Annotated[bool, typer.Option(help="Or print the ids of the jobs and leave.")] = True,
    parallel: Parallel = 8,
) -> None:
    """Find objects in photographs.

    Ends with 0 if all succeeded, 1 if some failed, 2 if there is nothing to do, 3 without a
    server or a valid key, and 130 after Ctrl-C, which cancels what is under way.
    """
    if save is not None and not wait:
        raise leave("--save needs the results: leave out --no-wait.", USAGE)
    found = find_or_leave(photos)
    options = describe_look(model, score, iou, maximum, classes, class_agnostic, decay)
    check_request(TASK, options)
    if save:
        options["annotate"] = True
    with connect() as client:
        keep = save_drawn(client, found, save) if save else None
        plan = Plan(TASK, partial(_make_request, options), priority, keep, wait)
        export = export_json if as_json else None if wait else _export_id
        report = Report(len(found), "detect", _describe, export)
        run_batch(Batch(client, plan, min(parallel, len(found))), found, report)
    report.finish()
    if report.failures:
        raise typer.Exit(SOME_FAILED)


def _make_request(options: dict[str, Any], blob_id: str) -> dict[str, Any]:
    return {"picture": blob_id, **options}


def _describe(outcome: Outcome) -> str:
    """The best objects with their scores, and how many more there are."""
    result = outcome.job.result if outcome.job else None
    boxes = (result or {}).get("boxes", [])
    shown = ", ".join(f"{box['label']} {box['score']:.2f}" for box in boxes[:SHOWN])
    more = f" and {len(boxes) - SHOWN} more" if len(boxes) > SHOWN else ""
    return shown + more or "nothing"


def _export_id(outcome: Outcome) -> str | None:
    return outcome.job.id if outcome.job else None
