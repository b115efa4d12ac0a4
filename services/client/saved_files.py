"""Puts the files of a result where they are wanted."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from services.client.client import Client
from services.client.console import USAGE, leave


def check_folder_of(file: Path) -> None:
    """Ends the command before hours of work for a file that cannot be written."""
    folder = file.absolute().parent
    if not folder.is_dir():
        raise leave(f"There is no folder {folder}.", USAGE)


def make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise leave(f"{folder} cannot be made: {error.strerror}.", USAGE) from error


def save_pictures(
    client: Client, result: dict[str, Any], endings: Mapping[str, str], folder: Path
) -> list[Path]:
    """The pictures a result has under the keys of `endings`, named by its model and those."""
    return [
        client.download(result[fact], folder / f"{result['model']}-{ending}")
        for fact, ending in endings.items()
        if result.get(fact)
    ]
