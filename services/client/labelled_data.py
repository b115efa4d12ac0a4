"""Runs jobs that learn from labelled pictures, or measure with them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from services.client.console import connect, tell
from services.client.folder_zip import send_folder
from services.client.requests import check_request
from services.client.saved_files import make_folder, save_pictures
from services.client.watch import run_task


def run_on_data(
    task: str,
    data: Path,
    options: Mapping[str, Any],
    endings: Mapping[str, str],
    folder: Path | None,
) -> tuple[dict[str, Any], list[Path]]:
    """(the result of a task on a zip or a folder, the pictures of it that were saved).

    `endings`: which pictures the result may have, and how their files end.
    """
    check_request(task, options)
    if folder:
        make_folder(folder)
    with connect() as client:
        result = run_task(client, task, {"data": send_folder(client, data), **options})
        return result, save_pictures(client, result, endings, folder) if folder else []


def describe_saved(result: Mapping[str, Any], saved: list[Path]) -> dict[str, Any]:
    """The result, for programs, with where its pictures are."""
    return {**result, "saved": [str(picture) for picture in saved]}


def tell_saved(saved: list[Path]) -> None:
    if saved:
        tell(f"Drawn: {', '.join(map(str, saved))}.")
