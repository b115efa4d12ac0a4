"""What the commands that run a job for each photo share: find, run, save, report."""

from pathlib import Path
from typing import Any

from services.client.batch import Batch, Outcome, Save
from services.client.client import Client
from services.client.console import USAGE, format_json, leave, tell
from services.client.job import Job
from services.client.photos import NothingFound, find_photos, name_results
from services.client.report import Report
from services.client.saved_files import make_folder


def find_or_leave(arguments: list[str]) -> list[Path]:
    """The photos that stand on the command line."""
    try:
        return find_photos(arguments)
    except NothingFound as error:
        raise leave(str(error), USAGE) from error


def save_drawn(client: Client, photos: list[Path], folder: Path) -> Save:
    """Puts the picture a result calls `annotated` into the folder, under the photo's name."""
    make_folder(folder)
    names = name_results(photos, folder, ".jpg")

    def save(photo: Path, job: Job) -> Path | None:
        drawn = (job.result or {}).get("annotated")
        return client.download(drawn, names[photo]) if drawn else None

    return save


def run_batch(batch: Batch, photos: list[Path], report: Report) -> None:
    """Ctrl-C cancels what is under way, and says so."""
    try:
        with report, batch:
            for outcome in batch.outcomes(photos):
                report.add(outcome)
    finally:
        if batch.cancelled:
            tell(f"Cancelled {len(batch.cancelled)} jobs.")
        if batch.stopping:
            tell(f"Asked {len(batch.stopping)} running jobs to stop.")
        if batch.left:
            tell(f"Could not cancel {' '.join(batch.left)}.")


def export_json(outcome: Outcome) -> str:
    return format_json(list_facts(outcome))


def list_facts(outcome: Outcome) -> dict[str, Any]:
    """What a program is told of a photo."""
    job = outcome.job
    return {
        "photo": str(outcome.photo),
        "job": job.id if job else None,
        "state": job.state if job else None,
        "result": job.result if job else None,
        "saved": str(outcome.saved) if outcome.saved else None,
        "error": outcome.reason or None,
        "seconds": round(outcome.seconds, 3),
    }
