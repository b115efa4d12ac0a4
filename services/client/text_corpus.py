"""Sends a corpus to train on: a file, a zip, a folder as a zip, or standard input."""

import sys
import tempfile
import zipfile
from pathlib import Path

from services.client.client import Client
from services.client.console import USAGE, leave, tell
from services.client.text_pieces import STANDARD_INPUT, NothingFound, find_files


def send_corpus(client: Client, corpus: Path) -> str:
    """The blob id. A folder becomes a zip of all files in it, under their paths from there."""
    if str(corpus) == STANDARD_INPUT:
        return str(client.upload(sys.stdin.buffer.read())["id"])
    if corpus.is_file():
        return str(client.upload(corpus)["id"])
    try:
        files = find_files([str(corpus)])
    except NothingFound as error:
        raise leave(str(error), USAGE) from error
    with tempfile.NamedTemporaryFile(suffix=".zip") as packed:
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in files:
                archive.write(file, file.relative_to(corpus) if corpus.is_dir() else file)
        packed.flush()
        tell(f"Sending {len(files)} files.")
        return str(client.upload(Path(packed.name))["id"])
