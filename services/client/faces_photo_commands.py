"""`atelier faces find | verify | identify`: what faces photographs show, and whose they are."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from services.client.batch import Batch, Outcome, Plan, Save
from services.client.client import Client
from services.client.console import SOME_FAILED, USAGE, connect, leave, write_json, write_table
from services.client.faces_options import Collection, Fpir, Json, Parallel, Photos, Scores
from services.client.job import Job
from services.client.photo_jobs import export_json, find_or_leave, run_batch, save_drawn
from services.client.photos import name_results
from services.client.report import Describe, Report
from services.client.saved_files import make_folder
from services.client.watch import run_task

app = typer.Typer()


class Method(StrEnum):
    distance = "distance"
    classifier = "classifier"
    chi2 = "chi2"


@app.command()
def find(
    photos: Photos,
    save: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Put pictures with the faces marked here.")
    ] = None,
    crops: Annotated[
        bool, typer.Option("--crops", help="Also put every face there, cut out and upright.")
    ] = False,
    largest: Annotated[bool, typer.Option("--largest", help="Only the largest face.")] = False,
    parallel: Parallel = 8,
    as_json: Json = False,
) -> None:
    """Find the faces in photographs, with a quality for each."""
    if crops and save is None:
        raise leave("--crops needs a folder: --save DIR.", USAGE)
    found = find_or_leave(photos)
    options = {"largest": largest, "annotate": save is not None, "crops": crops}
    with connect() as client:
        keep = _save_faces(client, found, save) if save else None
        plan = Plan("faces.find", lambda blob_id: {"picture": blob_id, **options}, save=keep)
        _run_plan(client, plan, found, parallel, "find", _describe_found, as_json)


@app.command()
def verify(
    first: Annotated[str, typer.Argument(metavar="A")],
    second: Annotated[str, typer.Argument(metavar="B")],
    fmr: Annotated[
        float | None,
        typer.Option(
            min=1e-6, max=0.1, help="Of pairs of strangers, so many may be called the same."
        ),
    ] = None,
    method: Annotated[Method, typer.Option(help="How to compare.")] = Method.distance,
    scores: Scores = False,
    as_json: Json = False,
) -> None:
    """Tell whether two photographs show the same person, by their largest faces."""
    pair = [photo for name in (first, second) for photo in find_or_leave([name])]
    if len(pair) != 2:
        raise leave("Give two photographs.", USAGE)
    with connect() as client:
        blobs = [client.upload(photo)["id"] for photo in pair]
        options = {"target_fmr": fmr, "method": method, "scores": scores}
        result = run_task(
            client, "faces.verify", {"first": blobs[0], "second": blobs[1], **options}
        )
    if as_json:
        write_json(result)
        return
    row = {"decision": "same person" if result["same"] else "different people"}
    row["band"] = result["band"]
    if scores:
        row |= {"score": f"{result['score']:.4f}", "threshold": f"{result['threshold']:.4f}"}
    write_table(list(row), [list(row.values())])


@app.command()
def identify(
    collection: Collection,
    photos: Photos,
    fpir: Fpir = None,
    all_faces: Annotated[
        bool, typer.Option("--all-faces", help="Every face of a photo, not only the largest.")
    ] = False,
    top: Annotated[int, typer.Option(min=1, max=100, help="People named for each face.")] = 1,
    scores: Scores = False,
    parallel: Parallel = 8,
    as_json: Json = False,
) -> None:
    """Find out whose faces photographs show: one row a face, a name or "unknown"."""
    found = find_or_leave(photos)
    options = {
        "collection": collection,
        "all_faces": all_faces,
        "max_candidates": top,
        "scores": scores,
        **({} if fpir is None else {"target_fpir": fpir}),
    }
    with connect() as client:
        plan = Plan("faces.identify", lambda blob_id: {"picture": blob_id, **options})
        _run_plan(client, plan, found, parallel, "identify", _describe_probes, as_json)


def _run_plan(
    client: Client,
    plan: Plan,
    photos: list[Path],
    parallel: int,
    title: str,
    describe: Describe,
    as_json: bool,
) -> None:
    report = Report(len(photos), title, describe, export_json if as_json else None)
    run_batch(Batch(client, plan, min(parallel, len(photos))), photos, report)
    report.finish()
    if report.failures:
        raise typer.Exit(SOME_FAILED)


def _save_faces(client: Client, photos: list[Path], folder: Path) -> Save:
    """Puts the marked picture into the folder, and the faces beside it if they were cut out."""
    make_folder(folder)
    names = name_results(photos, folder, ".jpg")
    save_picture = save_drawn(client, photos, folder)

    def save(photo: Path, job: Job) -> Path | None:
        for number, face in enumerate((job.result or {})["faces"], 1):
            if face["crop"]:
                name = f"{names[photo].stem}-face-{number}.jpg"
                client.download(face["crop"], folder / name)
        return save_picture(photo, job)

    return save


def _read(outcome: Outcome) -> dict[str, Any]:
    return (outcome.job.result if outcome.job else None) or {}


def _describe_found(outcome: Outcome) -> str:
    faces = _read(outcome).get("faces", [])
    if not faces:
        return "no face"
    count = "1 face" if len(faces) == 1 else f"{len(faces)} faces"
    qualities = " ".join(f"{face['quality']['overall']:.2f}" for face in faces)
    return f"{count}, quality {qualities}"


def _describe_probes(outcome: Outcome) -> str:
    """A line for each face: who, how likely, where."""
    probes = _read(outcome).get("probes", [])
    return "\n".join(_describe_probe(probe, len(probes) > 1) for probe in probes)


def _describe_probe(probe: dict[str, Any], with_place: bool) -> str:
    named = ", ".join(map(_describe_candidate, probe["candidates"])) or "unknown"
    if not with_place:
        return named
    left, top, right, bottom = probe["face"]["xyxy"]
    return f"{named}, at {left:.0f},{top:.0f} {right - left:.0f}x{bottom - top:.0f}"


def _describe_candidate(candidate: dict[str, Any]) -> str:
    score = "" if candidate["score"] is None else f" {candidate['score']:.4f}"
    return f"{candidate['subject']} ({candidate['band']}{score})"
