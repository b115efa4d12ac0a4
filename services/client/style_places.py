"""Where the pictures of a painting go: the painting itself, its previews, its losses."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.client.client import Client
from services.client.console import USAGE, leave
from services.client.job import JobEvent
from services.client.saved_files import check_writable, keep_files, make_folder, save_file

FORMATS = {".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png"}  # by the ending of the file


@dataclass
class Places:
    """Files of one painting; previews are numbered as they come."""

    painting: Path
    previews: Path | None  # a folder
    curve: Path | None
    saved: list[Path] = field(default_factory=list)  # previews

    @property
    def format(self) -> str:
        return FORMATS[self.painting.suffix.lower()]

    def check(self, inputs: Iterable[Path], replace: bool) -> None:
        """Ends the command if a file cannot be written, or one that is there would be replaced."""
        if self.curve:
            self._check_curve(self.curve)
        inputs = list(inputs)
        for option, file in {"--out": self.painting, "--curve": self.curve}.items():
            if file:
                check_writable(file)
                keep_files(inputs, [file] if file.exists() else [], replace, option)
        if self.previews:
            make_folder(self.previews)
            keep_files(inputs, self._list_previews(self.previews), replace, "--previews")

    def _check_curve(self, curve: Path) -> None:
        if curve.suffix.lower() != ".png":
            raise leave(f"{curve}: name a .png for --curve.", USAGE)
        if curve.resolve() == self.painting.resolve():
            raise leave(f"{curve} is the painting: choose another --curve.", USAGE)

    def _list_previews(self, folder: Path) -> list[Path]:
        numbered = re.compile(re.escape(self.painting.stem) + r"-\d{4,}\.jpg")
        return sorted(file for file in folder.iterdir() if numbered.fullmatch(file.name))

    def take_preview(self, client: Client, event: JobEvent) -> None:
        """Save the picture that an event of the job shows, if it shows one."""
        blob_id = event.data.get("preview")
        if self.previews and blob_id:
            name = f"{self.painting.stem}-{len(self.saved) + 1:04}.jpg"
            self.saved.append(save_file(client, blob_id, self.previews / name))

    def save(self, client: Client, result: dict[str, Any]) -> list[str]:
        """The files of a result."""
        wanted = {self.painting: result["picture"], self.curve: result["curve"]}
        return [
            str(save_file(client, blob_id, file))
            for file, blob_id in wanted.items()
            if file and blob_id
        ]


def choose_file(out: Path | None, content: Path, style: Path, png: bool) -> Path:
    """The file of a painting; ends the command if its name is that of another kind of file."""
    file = out or Path(f"{content.stem}-{style.stem}{'.png' if png else '.jpg'}")
    known = FORMATS.get(file.suffix.lower())
    if known is None:
        raise leave(f"{file}: name a .jpg or a .png.", USAGE)
    if png and known != "png":
        raise leave(f"{file}: with --png, name a .png.", USAGE)
    return file
