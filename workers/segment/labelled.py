"""Pictures with a mask each: every pair looked at, and shared into parts."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TypeVar

import numpy as np
from PIL import Image

from workers.runtime.data_paths import is_picture
from workers.runtime.images import decode
from workers.runtime.labelled_parts import choose_part, list_parts
from workers.runtime.run import InvalidInput, TooLarge
from workers.segment.classes import Classes, name_classes
from workers.segment.masks import decode_mask, to_classes
from workers.segment.metrics import VOID

MAX_PIXELS = 8_000_000_000  # of all pictures together: minutes of decoding

Read = Callable[[], bytes]
Files = Mapping[PurePosixPath, Read]  # by their path in the data set
T = TypeVar("T")
Watch = Callable[[int, int], None]  # gets how many pairs were looked at, and all; may raise


@dataclass(frozen=True)
class Pair:
    """A picture and its mask, before anybody has looked at them."""

    picture: PurePosixPath
    mask: PurePosixPath
    part: str = ""  # "train", "val" or "test"; "" if nothing says so
    source: str = ""  # the list that names it


@dataclass(frozen=True)
class LabelledPicture:
    path: str  # of the picture in the data set
    width: int  # of the upright picture
    height: int
    part: str  # as in Pair
    digest: str  # of the pixels; equal pictures have equal digests
    mask_digest: str  # of the classes
    pixels: np.ndarray = field(repr=False, compare=False)  # (256,) int64: of each index
    read: Read = field(repr=False)  # the picture's file; a zip's must still be open
    read_mask: Read = field(repr=False)

    def open(self) -> Image.Image:
        """The upright RGB picture, width x height. Raises InvalidInput if it changed since."""
        return decode(self.read())

    def open_mask(self, classes: Classes) -> np.ndarray:
        """The classes (height, width) uint8, VOID where there is none. Raises as `open`."""
        return to_classes(decode_mask(self.read_mask()), classes)


@dataclass(frozen=True)
class LabelledPictures:
    """A data set for training or evaluating a segmentation network."""

    classes: Classes
    pictures: tuple[LabelledPicture, ...]  # sorted by path
    without_mask: int = 0  # pictures beside them that were left out

    def parts(self) -> tuple[str, ...]:
        """The parts that the data set was given in, sorted; () if it is one whole."""
        return list_parts(self.pictures)

    def part(self, name: str) -> "LabelledPictures":
        """Only one part; raises ValueError if it has no pictures."""
        return replace(self, pictures=choose_part(self.pictures, name))

    def split(self, share: float, seed: int) -> tuple["LabelledPictures", "LabelledPictures"]:
        """(the rest, about `share` of the pictures): equal pictures are on the same side."""
        digests = sorted({picture.digest for picture in self.pictures})
        order = np.random.default_rng(seed).permutation(digests).tolist()
        taken, wanted = set(order[: round(share * len(order))]), []
        for side in (False, True):
            wanted.append(tuple(one for one in self.pictures if (one.digest in taken) is side))
        return replace(self, pictures=wanted[0]), replace(self, pictures=wanted[1])

    def count(self) -> np.ndarray:
        """The pixels (C,) int64 of each class."""
        total: np.ndarray = sum((one.pixels for one in self.pictures), np.zeros(256, np.int64))
        return total[: len(self.classes)]

    def fingerprint(self) -> str:
        """The same for the same masks on the same pictures, whatever their files are called."""
        digest = hashlib.sha256(repr(self.classes.names).encode())
        for one in sorted((one.digest, one.mask_digest, one.part) for one in self.pictures):
            digest.update(repr(one).encode())
        return digest.hexdigest()


def watch_nothing(done: int, count: int) -> None:
    """Nobody waits for the pictures."""


def gather(
    classes: Classes | None,
    pairs: Sequence[Pair],
    files: Files,
    watch: Watch = watch_nothing,
) -> LabelledPictures:
    """Look at every pair. Without `classes` there are as many as the largest index tells.

    Raises InvalidInput, which names the file at fault: one that is missing, damaged or listed
    twice, a mask of another size than its picture, or of an unknown index. TooLarge beyond
    MAX_PIXELS.
    """
    taken = classes or name_classes([str(index) for index in range(VOID)])
    pictures: dict[str, LabelledPicture] = {}
    pixels = 0
    for done, pair in enumerate(pairs):
        watch(done, len(pairs))
        path = str(pair.picture)
        if path in pictures:
            raise InvalidInput(f"{pair.source or path}: the picture {path} is there twice.")
        pictures[path] = found = _look(pair, files, taken)
        pixels += found.width * found.height
        if pixels > MAX_PIXELS:
            raise TooLarge(f"The pictures have more than {MAX_PIXELS} pixels together.")
    looked = tuple(pictures[path] for path in sorted(pictures))
    whole = LabelledPictures(taken, looked, count_without_mask(pairs, files))
    used = np.flatnonzero(whole.count())
    if not len(used):
        raise InvalidInput("There are no pictures with a mask, or their masks show no class.")
    if classes is None:
        named = name_classes([str(index) for index in range(int(used[-1]) + 1)])
        whole = replace(whole, classes=named)
    return whole


def count_without_mask(pairs: Sequence[Pair], files: Files) -> int:
    """The pictures in the folders of those that have a mask."""
    folders = {pair.picture.parent for pair in pairs}
    used = {path for pair in pairs for path in (pair.picture, pair.mask)}
    return sum(path.parent in folders and is_picture(path) and path not in used for path in files)


def _look(pair: Pair, files: Files, classes: Classes) -> LabelledPicture:
    for path in (pair.picture, pair.mask):
        if path not in files:
            raise InvalidInput(f"{pair.source or pair.picture}: {path} is missing.")
    picture = _name_errors(pair.picture, lambda: decode(files[pair.picture]()))
    mask = _name_errors(pair.mask, lambda: decode_mask(files[pair.mask]()))
    if mask.shape != (picture.height, picture.width):
        sizes = f"{mask.shape[1]} x {mask.shape[0]}", f"{picture.width} x {picture.height}"
        raise InvalidInput(f"{pair.mask} has {sizes[0]} pixels, {pair.picture} has {sizes[1]}.")
    shown = _name_errors(pair.mask, lambda: to_classes(mask, classes))
    size = repr(picture.size).encode()
    return LabelledPicture(
        str(pair.picture),
        picture.width,
        picture.height,
        pair.part,
        hashlib.sha256(size + picture.tobytes()).hexdigest(),
        hashlib.sha256(size + shown.tobytes()).hexdigest(),
        np.bincount(shown.ravel(), minlength=256),
        files[pair.picture],
        files[pair.mask],
    )


def read_content(path: PurePosixPath, files: Files, max_bytes: int) -> bytes:
    """A file that is no picture; raises InvalidInput and TooLarge, which name it."""
    content = _name_errors(path, files[path])
    if len(content) > max_bytes:
        raise TooLarge(f"{path} has {len(content)} bytes, more than {max_bytes}.")
    return content


def _name_errors(path: PurePosixPath, work: Callable[[], T]) -> T:
    """What `work` answers; what it cannot use is told with the file's path."""
    try:
        return work()
    except InvalidInput as error:
        raise InvalidInput(f"{path}: {error}") from error
