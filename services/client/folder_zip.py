"""Sends many pictures: a file that holds them as it is, others as a zip."""

import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import track

from services.client.client import Client
from services.client.console import USAGE, leave, tell
from services.client.photos import is_picture


def send_folder(client: Client, data: Path) -> str:
    """The blob id of a zip, or of the zip of all that is in a folder but hidden files."""
    return _send(client, data, list_visible(data))


def send_pictures(client: Client, source: Path) -> str:
    """The blob id of a video or zip, or of the zip of the pictures in a folder and its folders."""
    return _send(client, source, [file for file in list_visible(source) if is_picture(file)])


def list_visible(folder: Path) -> list[Path]:
    """The files in a folder and its folders but hidden ones, in order; none of a file."""
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    visible = (path for path in paths if not any(part.startswith(".") for part in path.parts))
    return [folder / path for path in sorted(visible)]


def _send(client: Client, source: Path, files: Sequence[Path]) -> str:
    if source.is_file():
        return str(client.upload(source)["id"])
    if not files:
        missing = "no file" if source.is_dir() else "no such file or folder"
        raise leave(f"{source}: {missing}.", USAGE)
    return send_files(client, {file: file.relative_to(source) for file in files})


def send_files(client: Client, names: Mapping[Path, Path]) -> str:
    """The blob id of the zip of files, each under the name it maps to."""
    with tempfile.NamedTemporaryFile(suffix=".zip") as packed:
        _pack(names, Path(packed.name))
        tell(f"Sending {len(names)} files.")
        return str(client.upload(Path(packed.name))["id"])


def _pack(names: Mapping[Path, Path], packed: Path) -> None:
    """Pictures, which are compressed already, as they are."""
    console, quiet = Console(stderr=True), not sys.stderr.isatty()
    with zipfile.ZipFile(packed, "w", strict_timestamps=False) as archive:
        for file in track(names, "packing", console=console, transient=True, disable=quiet):
            form = zipfile.ZIP_STORED if is_picture(file) else zipfile.ZIP_DEFLATED
            archive.write(file, names[file], form)
