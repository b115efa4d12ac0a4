"""The paths of a data set: which are pictures, in which part, and which one is meant."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import PurePosixPath

from workers.runtime.run import InvalidInput

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
PART = re.compile(r"(train|val|test)(?:ing|id|idation)?\d*", re.IGNORECASE)
MAX_QUOTED = 80  # characters that an error repeats of a file

Search = Callable[[tuple[str, ...], str], Sequence[PurePosixPath]]  # steps of a path, part


def quote(said: object) -> str:
    """What a file says, fit to be repeated in an error.

    >>> quote("three dogs")
    "'three dogs'"
    """
    text = str(said)
    return repr(text if len(text) <= MAX_QUOTED else text[:MAX_QUOTED] + "...")


class Paths:
    """Paths, found by what they end with without looking at them all."""

    def __init__(self, paths: Iterable[PurePosixPath]) -> None:
        self._known = set(paths)
        ends = sorted((path.parts[::-1], path) for path in self._known)
        self._ends = [parts for parts, _ in ends]
        self._paths = [path for _, path in ends]
        self._deepest = max(map(len, self._ends), default=0)  # parts

    def ending(self, steps: tuple[str, ...]) -> list[PurePosixPath]:
        """Those that end with these folders and this name."""
        if not steps:
            return []
        end = steps[::-1]
        first = bisect_left(self._ends, end)
        after = bisect_right(self._ends, end, lo=first, key=lambda parts: parts[: len(end)])
        return self._paths[first:after]

    def alike(self, steps: tuple[str, ...]) -> set[PurePosixPath]:
        """Those that end with these steps, and those that these steps end with."""
        most = min(len(steps), self._deepest)
        tails = {PurePosixPath(*steps[-count:]) for count in range(1, most + 1)}
        return tails & self._known | set(self.ending(steps))


def by_folder(path: PurePosixPath) -> tuple[tuple[str, ...], str]:
    """Sorted by this, what shares most folders with a path is where that would be."""
    return path.parent.parts, path.name


def find_picture(pictures: Sequence[PurePosixPath], near: PurePosixPath) -> PurePosixPath | None:
    """Of pictures that a label file may mean, the one that shares most folders with it.

    They are sorted `by_folder`. Raises InvalidInput if two are equally near; None if there is none.
    """
    place = bisect_left(pictures, near.parent.parts, key=lambda path: path.parent.parts)
    around = pictures[max(place - 2, 0) : place + 2]
    ranked = sorted(around, key=lambda path: (-_shared_folders(path, near), path))
    if len(ranked) > 1 and _shared_folders(ranked[0], near) == _shared_folders(ranked[1], near):
        raise InvalidInput(f"{near}: it may mean {ranked[0]} or {ranked[1]}.")
    return ranked[0] if ranked else None


def index_pictures(files: Iterable[PurePosixPath]) -> Search:
    """Finds the pictures whose paths end so; of several, those in a folder of the part."""
    pictures = Paths(filter(is_picture, files))

    @cache
    def search(steps: tuple[str, ...], part: str) -> Sequence[PurePosixPath]:
        ends = sorted(pictures.ending(steps), key=by_folder)
        own = [path for path in ends if part and part_of(path.parent.parts) == part]
        return own or ends

    return search


def is_picture(path: PurePosixPath) -> bool:
    return path.suffix.lower() in SUFFIXES


def part_of(words: Iterable[str]) -> str:
    """The part that folders or file names tell: "train", "val" or "test"; "" for none.

    >>> part_of(["images", "train2017"])
    'train'
    """
    matches = (PART.fullmatch(word) for word in words)
    return next((match[1].lower() for match in matches if match), "")


def _shared_folders(one: PurePosixPath, other: PurePosixPath) -> int:
    shared = 0
    for mine, theirs in zip(one.parent.parts, other.parent.parts, strict=False):
        if mine != theirs:
            break
        shared += 1
    return shared
