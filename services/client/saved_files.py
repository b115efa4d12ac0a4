"""Puts the files of a result where they are wanted."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from services.client.client import Client
from services.client.console import SOME_FAILED, USAGE, leave


def check_writable(file: Path) -> None:
    """Ends the command before hours of work for a file that cannot be written."""
    folder = file.absolute().parent
    if not folder.is_dir():
        raise leave(f"There is no folder {folder}.", USAGE)
    if is_folder(file):
        raise leave(f"{file} is a folder: name a file.", USAGE)
    trial = folder / f".{file.name}.{uuid4().hex}"  # as long as what a download begins with
    try:
        trial.touch(exist_ok=False)
        trial.unlink()
    except OSError as error:
        raise leave(f"{file} cannot be written: {error.strerror}.", USAGE) from error


def keep_files(
    inputs: Iterable[Path], taken: Sequence[Path], replace: bool, option: str = "--out"
) -> None:
    """Ends the command before one of its inputs, or a file that may be the user's, is replaced.

    `taken`: files that are there under names that the results will have, or may have.
    """
    given = {path.resolve() for path in inputs}
    for file in taken:
        if file.resolve() in given:
            reason = f"{file} is a photo, and would be replaced: choose another {option}."
            raise leave(reason, USAGE)
    if taken and not replace:
        more = f", and {len(taken) - 1} more" if len(taken) > 1 else ""
        there = f"{taken[0]} is there already{more}"
        raise leave(f"{there}: choose another {option}, or replace with --force.", USAGE)


def is_folder(path: Path) -> bool:
    """A name that is too long is none."""
    try:
        return path.is_dir()
    except OSError:
        return False


def make_folder(folder: Path) -> None:
    """Ends the command for a folder that cannot be made, or takes no file."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise leave(f"{folder} cannot be made: {error.strerror}.", USAGE) from error
    check_writable(folder / "result")


def save_file(client: Client, blob_id: str, file: Path) -> Path:
    """Download a result; ends the command if the file cannot be written after all."""
    try:
        return client.download(blob_id, file)
    except OSError as error:
        reason = f"{file} cannot be written: {error.strerror or error}."
        raise leave(reason, SOME_FAILED) from error


def save_pictures(
    client: Client, result: dict[str, Any], endings: Mapping[str, str], folder: Path
) -> list[Path]:
    """The pictures a result has under the keys of `endings`, named by its model and those."""
    return [
        save_file(client, result[fact], folder / f"{result['model']}-{ending}")
        for fact, ending in endings.items()
        if result.get(fact)
    ]
