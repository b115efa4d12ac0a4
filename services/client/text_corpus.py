"""Sends a corpus to train on: a file, a zip, a folder as a zip, or standard input."""

import os
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from services.client.client import Client
from services.client.console import USAGE, leave, tell
from services.client.text_pieces import STANDARD_INPUT, NothingFound, find_files


def send_corpus(client: Client, corpus: Path) -> str:
    """The blob id. A folder, or a quoted pattern, becomes a zip of its files."""
    if str(corpus) == STANDARD_INPUT:
        return str(client.upload(sys.stdin.buffer.read())["id"])
    if corpus.is_file():
        return str(client.upload(corpus)["id"])
    try:
        files = find_files([str(corpus)])
    except NothingFound as error:
        raise leave(str(error), USAGE) from error
    with tempfile.NamedTemporaryFile(suffix=".zip") as packed:
        _pack(files, Path(packed.name))
        tell(f"Sending {len(files)} files.")
        return str(client.upload(Path(packed.name))["id"])


def _pack(files: Sequence[Path], packed: Path) -> None:
    """A zip of files under their paths below the folder that has them all."""
    paths = [Path(os.path.abspath(file)) for file in files]  # without a "..", links as they are
    folder = os.path.commonpath([path.parent for path in paths])
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
        for file, path in zip(files, paths, strict=True):
            archive.write(file, path.relative_to(folder))
