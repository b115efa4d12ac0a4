"""Labelled pictures: what is where on each, checked against its pixels, and shared into parts."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

import numpy as np
from PIL import Image

from workers.detect.label_files import Files, Read, read_content
from workers.runtime.images import decode
from workers.runtime.labelled_parts import choose_part, list_parts
from workers.runtime.run import InvalidInput, TooLarge

MAX_OBJECTS = 1_000_000  # of all pictures
MAX_IN_PICTURE = 10_000  # objects; in an evaluation every box is compared with each of them
MAX_PICTURE = 2**27  # bytes of a picture's file
MAX_PIXELS = 8_000_000_000  # of all pictures together: minutes of decoding

Watch = Callable[[int, int], None]  # gets how many pictures were looked at, and all; may raise


@dataclass(frozen=True)
class Labels:
    """The N objects of one picture."""

    boxes: np.ndarray  # (N, 4) float32 xyxy: the edges in pixels, 0 is the left and top border
    classes: np.ndarray  # (N,) int64, places in the names
    difficult: np.ndarray  # (N,) bool; neither a hit nor a miss when it is found (VOC)
    crowd: np.ndarray  # (N,) bool; a box around many, as `difficult` (COCO)

    @classmethod
    def of(
        cls,
        boxes: Sequence[Sequence[float]] | np.ndarray,
        classes: Sequence[int],
        difficult: Sequence[bool] | np.ndarray | None = None,
        crowd: Sequence[bool] | None = None,
    ) -> "Labels":
        plain = [False] * len(boxes)
        return cls(
            np.asarray(boxes, np.float32).reshape(-1, 4),
            np.asarray(classes, np.int64),
            np.asarray(plain if difficult is None else difficult, bool),
            np.asarray(plain if crowd is None else crowd, bool),
        )

    def __len__(self) -> int:
        return len(self.boxes)

    def keep(self, rows: np.ndarray) -> "Labels":
        """Only these rows: a mask (N,), or places."""
        return Labels(self.boxes[rows], self.classes[rows], self.difficult[rows], self.crowd[rows])


@dataclass(frozen=True)
class Entry:
    """A picture as its label file tells, before anybody has looked at it."""

    source: PurePosixPath  # the label file, named in errors
    picture: PurePosixPath
    labels: Labels
    part: str = ""  # "train", "val" or "test"; "" if nothing says so
    size: tuple[int, int] | None = None  # width, height as written
    relative: bool = False  # the boxes are shares of the picture's width and height


class Tally:
    """Counts the objects of a data set while its labels are read."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, source: PurePosixPath, objects: int) -> None:
        """Those of one picture. Raises TooLarge for more than can be learnt from or measured."""
        self.count += objects
        if objects > MAX_IN_PICTURE:
            raise TooLarge(
                f"{source} tells of {objects} objects on a picture; {MAX_IN_PICTURE} can be used."
            )
        if self.count > MAX_OBJECTS:
            raise TooLarge(f"There are more than {MAX_OBJECTS} objects. Use fewer pictures.")


@dataclass(frozen=True)
class LabelledPicture:
    path: str  # in the data set
    width: int  # of the upright picture
    height: int
    labels: Labels
    part: str  # as in Entry
    digest: str  # of the pixels; equal pictures have equal digests
    read: Read = field(repr=False)  # the file; a zip's must still be open

    def open(self) -> Image.Image:
        """The upright RGB picture, width x height. Raises InvalidInput if it changed since."""
        return decode(self.read(MAX_PICTURE))


@dataclass(frozen=True)
class LabelledPictures:
    """A data set for training or evaluating a detector."""

    names: tuple[str, ...]  # of the classes
    pictures: tuple[LabelledPicture, ...]  # sorted by path
    empty: int = 0  # boxes left out: without area, or wholly off the picture
    repeated: int = 0  # boxes left out: the same class at the same place of the same picture

    def parts(self) -> tuple[str, ...]:
        """The parts that the data set was given in, sorted; () if it is one whole."""
        return list_parts(self.pictures)

    def part(self, name: str) -> "LabelledPictures":
        """Only one part; raises ValueError if it has no pictures."""
        return replace(self, pictures=choose_part(self.pictures, name))

    def split(self, share: float, seed: int) -> tuple["LabelledPictures", "LabelledPictures"]:
        """(the rest, about `share` of the pictures): equal pictures are on the same side."""
        groups = self._group()
        wanted, count, taken = round(share * len(self.pictures)), 0, set[str]()
        for digest in np.random.default_rng(seed).permutation(sorted(groups)).tolist():
            if count >= wanted:
                break
            taken.add(digest)
            count += len(groups[digest])
        sides = [
            tuple(picture for picture in self.pictures if (picture.digest in taken) is side)
            for side in (False, True)
        ]
        return replace(self, pictures=sides[0]), replace(self, pictures=sides[1])

    def duplicates(self) -> list[list[str]]:
        """The paths of pictures that are equal pixel by pixel, in groups of two or more."""
        return [paths for paths in self._group().values() if len(paths) > 1]

    def _group(self) -> dict[str, list[str]]:
        """The paths of the pictures by their digest."""
        groups: dict[str, list[str]] = {}
        for picture in self.pictures:
            groups.setdefault(picture.digest, []).append(picture.path)
        return groups

    def count(self) -> dict[str, int]:
        """The boxes of each class."""
        classes = [picture.labels.classes for picture in self.pictures]
        numbers = np.bincount(np.concatenate([*classes, []]).astype(int), minlength=len(self.names))
        return dict(zip(self.names, numbers.tolist(), strict=True))

    def fingerprint(self) -> str:
        """The same for the same labels on the same pictures, whatever their files are called."""
        digest = hashlib.sha256(repr(self.names).encode())
        for one in sorted(_describe(picture) for picture in self.pictures):
            digest.update(one)
        return digest.hexdigest()


def watch_nothing(done: int, count: int) -> None:
    """Nobody waits for the pictures."""


def gather(
    names: Sequence[str], entries: Sequence[Entry], files: Files, watch: Watch = watch_nothing
) -> LabelledPictures:
    """Look at every picture, and bring its labels into its pixels.

    Boxes that reach over the border are clipped; what then has no area, and what is there twice,
    is left out and counted. Raises InvalidInput, which names the file at fault: a picture that is
    missing, damaged, listed twice or of another size than its labels tell, a box that is no box.
    TooLarge beyond MAX_PIXELS, and MAX_PICTURE.
    """
    pictures: dict[str, LabelledPicture] = {}
    empty = repeated = pixels = 0
    for done, entry in enumerate(entries):
        watch(done, len(entries))
        path = str(entry.picture)
        if path in pictures:
            raise InvalidInput(f"{entry.source}: the picture {path} is labelled twice.")
        found = _look(entry, files)
        pixels += found.width * found.height
        if pixels > MAX_PIXELS:
            raise TooLarge(f"The pictures have more than {MAX_PIXELS} pixels together.")
        filled = found.labels.keep(_has_area(found.labels.boxes))
        single = filled.keep(_first_of_equal(filled))
        empty += len(found.labels) - len(filled)
        repeated += len(filled) - len(single)
        pictures[path] = replace(found, labels=single)
    if not pictures:
        raise InvalidInput("There are no labelled pictures.")
    return LabelledPictures(
        tuple(names), tuple(pictures[path] for path in sorted(pictures)), empty, repeated
    )


def _look(entry: Entry, files: Files) -> LabelledPicture:
    """One picture, its boxes clipped at its border."""
    if entry.picture not in files:
        raise InvalidInput(f"{entry.source}: the picture {entry.picture} is missing.")
    content = read_content(entry.picture, files, MAX_PICTURE)
    try:
        picture = decode(content)
    except InvalidInput as error:
        raise InvalidInput(f"{entry.picture}: {error}") from error
    if entry.size is not None and entry.size != picture.size:
        told, real = (f"{width} x {height}" for width, height in (entry.size, picture.size))
        raise InvalidInput(f"{entry.source} tells of {told} pixels, {entry.picture} has {real}.")
    corner = np.array(picture.size * 2, np.float32)
    boxes = entry.labels.boxes * (corner if entry.relative else 1)
    if not np.isfinite(boxes).all() or (boxes[:, 2:] < boxes[:, :2]).any():
        raise InvalidInput(f"{entry.source}: a box ends before it begins, or is not a number.")
    labels = replace(entry.labels, boxes=boxes.clip(0, corner))
    digest = hashlib.sha256(repr(picture.size).encode() + picture.tobytes()).hexdigest()
    return LabelledPicture(
        str(entry.picture),
        picture.width,
        picture.height,
        labels,
        entry.part,
        digest,
        files[entry.picture],
    )


def _has_area(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])


def _first_of_equal(labels: Labels) -> np.ndarray:
    """The places (K,) of objects that are not the same as one before."""
    rows = np.column_stack([labels.boxes, labels.classes])
    return np.sort(np.unique(rows, axis=0, return_index=True)[1])


def _describe(picture: LabelledPicture) -> bytes:
    labels = picture.labels
    columns = [labels.boxes, labels.classes, labels.difficult, labels.crowd]
    written = np.column_stack([*columns]).astype("<f8").tobytes()
    return b"\0".join([picture.digest.encode(), picture.part.encode(), written])
