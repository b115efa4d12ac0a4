"""Turns what stands on the command line into picture files, and those into names for results."""

from collections import Counter
from collections.abc import Iterable
from glob import glob
from pathlib import Path

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
# Folders of what `atelier segment` and `atelier style apply` draw: no photos.
SEGMENTED, PAINTED = "segmented", "painted"


class NothingFound(Exception):
    """An argument that stands for no file."""


def find_photos(arguments: Iterable[str]) -> list[Path]:
    """Files as given, the pictures directly in folders, quoted globs; each once, in order.

    Globs find nothing in folders called `segmented` or `painted`, unless they name them.
    """
    found: dict[Path, None] = {}
    for argument in arguments:
        files = _expand(argument)
        if not files:
            raise NothingFound(f"No picture found for {argument!r}.")
        found.update(dict.fromkeys(files))
    return list(found)


def _expand(argument: str) -> list[Path]:
    path = Path(argument)
    if path.is_file():  # also a name with [brackets] in it
        return [path]
    if path.is_dir():
        return sorted(file for file in path.iterdir() if is_picture(file) and file.is_file())
    files = [file for file in map(Path, sorted(glob(argument, recursive=True))) if file.is_file()]
    drawn = {SEGMENTED, PAINTED}.difference(path.parts)
    return [file for file in files if drawn.isdisjoint(file.parts)]


def is_picture(path: Path) -> bool:
    """By its name alone."""
    return path.suffix.lower() in SUFFIXES


def name_results(photos: Iterable[Path], folder: Path, suffix: str) -> dict[Path, Path]:
    """A file in `folder` for each photo; photos of the same name get a number."""
    names: dict[Path, Path] = {}
    taken: set[str] = set()
    numbers: Counter[str] = Counter()
    for photo in photos:
        name = photo.stem
        while name.casefold() in taken:  # some file systems do not tell A from a
            numbers[photo.stem] += 1
            name = f"{photo.stem}-{numbers[photo.stem] + 1}"
        taken.add(name.casefold())
        names[photo] = folder / f"{name}{suffix}"
    return names
