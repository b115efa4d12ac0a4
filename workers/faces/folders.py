"""Reads training faces: a folder for each person, on disk or in a zip."""

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image, ImageOps

from workers.runtime.images import DAMAGED, decode
from workers.runtime.run import InvalidInput, TooLarge
from workers.runtime.zips import is_hidden, open_zip

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
LOCAL_SUFFIXES = (*SUFFIXES, ".pgm")  # the format of most old face collections
MAX_FILES = 20_000
MAX_BYTES = 2 * 2**30  # of all files of a zip, unpacked
MAX_FILE = 2**27  # bytes of one of them
MAX_PIXELS = 4_000_000_000  # of all pictures together: minutes of decoding

Cut = Callable[[Image.Image, int], np.ndarray]  # picture, side -> (side, side, 3) uint8 RGB
File = tuple[PurePosixPath, Callable[[], bytes]]


@dataclass(frozen=True)
class FaceFolders:
    """Square faces of some people."""

    names: tuple[str, ...]  # people, sorted
    chips: np.ndarray  # (N, side, side, 3) uint8 RGB
    labels: np.ndarray  # (N,) int64, places in `names`

    def select(self, names: Iterable[str]) -> "FaceFolders":
        """Only these people; raises ValueError for one that is not there."""
        wanted = tuple(sorted(set(names)))
        missing = set(wanted) - set(self.names)
        if missing:
            raise ValueError(f"There are no pictures of {', '.join(sorted(missing))}.")
        places = {self.names.index(name): place for place, name in enumerate(wanted)}
        rows = np.flatnonzero(np.isin(self.labels, list(places)))
        labels = np.array([places[label] for label in self.labels[rows]], np.int64)
        return FaceFolders(wanted, self.chips[rows], labels)

    def split(self, share: float, seed: int) -> tuple["FaceFolders", "FaceFolders"]:
        """(the rest, about `share` of the people): nobody is on both sides."""
        order = np.random.default_rng(seed).permutation(self.names).tolist()
        taken = round(share * len(order))
        return self.select(order[taken:]), self.select(order[:taken])

    def fingerprint(self) -> str:
        """The same for the same faces of the same people, in hexadecimal."""
        digest = hashlib.sha256(repr((self.names, self.chips.shape)).encode())
        digest.update(self.labels.tobytes())
        digest.update(self.chips.tobytes())
        return digest.hexdigest()


def fit_square(picture: Image.Image, side: int) -> np.ndarray:
    """The middle of an RGB picture as a square, (side, side, 3) uint8."""
    return np.asarray(ImageOps.fit(picture, (side, side), Image.Resampling.BILINEAR))


def read_folder(folder: Path, side: int, cut: Cut = fit_square) -> FaceFolders:
    """Every JPEG, PNG, WEBP and PGM below a folder; its own folder names the person.

    Raises InvalidInput, which names the file or person that cannot be used.
    """
    if not folder.is_dir():
        raise InvalidInput(f"{folder} is not a folder.")
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = [(PurePosixPath(path.relative_to(folder)), path.read_bytes) for path in paths]
    return _gather(_choose(files, LOCAL_SUFFIXES), side, cut, decode_local, math.inf)


def read_zip(content: bytes, side: int, cut: Cut = fit_square) -> FaceFolders:
    """As `read_folder`, for JPEG, PNG and WEBP from outside; nothing is unpacked to disk.

    Raises InvalidInput, also for a path that leaves the zip; TooLarge beyond MAX_FILES, MAX_BYTES
    or MAX_PIXELS.
    """
    with open_zip(BytesIO(content), MAX_FILES, MAX_BYTES) as members:
        files = [(member.path, partial(member.read, MAX_FILE)) for member in members]
        return _gather(_choose(files, SUFFIXES), side, cut, decode, MAX_PIXELS)


def decode_local(content: bytes) -> Image.Image:
    """As `images.decode`, and binary PGM; only for trusted files."""
    if not content.startswith(b"P5"):
        return decode(content)
    try:
        return Image.open(BytesIO(content), formats=("PPM",)).convert("RGB")
    except DAMAGED as error:
        raise InvalidInput("The PGM picture is damaged or incomplete.") from error


def _choose(files: Iterable[File], suffixes: tuple[str, ...]) -> Iterator[File]:
    """The pictures of people; hidden files and what lies beside the people's folders is left out.

    Raises InvalidInput for a file in a person's folder that is no picture, and for a picture in
    no folder.
    """
    for path, read in files:
        if is_hidden(path):
            continue
        is_picture = path.suffix.lower() in suffixes
        in_folder = len(path.parts) > 1
        if in_folder and not is_picture:
            raise InvalidInput(f"{path} is not a picture ({', '.join(suffixes)}).")
        if is_picture and not in_folder:
            raise InvalidInput(f"{path} lies in no folder that names a person.")
        if is_picture:
            yield path, read


def _gather(
    files: Iterable[File],
    side: int,
    cut: Cut,
    read_picture: Callable[[bytes], Image.Image],
    max_pixels: float,
) -> FaceFolders:
    people: dict[PurePosixPath, list[np.ndarray]] = {}
    pixels = 0
    for path, read in files:
        try:
            picture = read_picture(read())
            pixels += picture.width * picture.height
            if pixels > max_pixels:
                raise TooLarge(f"The pictures have more than {max_pixels} pixels together.")
            people.setdefault(path.parent, []).append(cut(picture, side))
        except InvalidInput as error:
            raise InvalidInput(f"{path}: {error}") from error
    return _stack(people)


def _stack(people: dict[PurePosixPath, list[np.ndarray]]) -> FaceFolders:
    if not people:
        raise InvalidInput("There are no pictures: put those of each person in a folder.")
    chips: list[np.ndarray] = []
    labels: list[int] = []
    folders = sorted(people, key=lambda folder: folder.name)
    for label, folder in enumerate(folders):
        if len(people[folder]) < 2:
            raise InvalidInput(f"{folder.name} has only one picture; two or more are needed.")
        chips += people[folder]
        labels += [label] * len(people[folder])
    names = tuple(folder.name for folder in folders)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidInput(f"Two folders are called {twice}: give each person one folder.")
    return FaceFolders(names, np.stack(chips), np.array(labels, np.int64))
