"""The files that a data set of labelled pictures is made of, on disk or in a zip."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from workers.detect.yolo_config import MAX_CLASSES
from workers.runtime.run import InvalidInput

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
PART = re.compile(r"(train|val|test)(?:ing|id|idation)?\d*", re.IGNORECASE)
MAX_NUMBER = 1e6  # pixels; what a coordinate can be at most
MAX_NAME = 200  # characters of a class name
MAX_QUOTED = 80  # characters that an error repeats of a file

Read = Callable[[int], bytes]  # of at most so many bytes; beyond, TooLarge before any is read
Files = Mapping[PurePosixPath, Read]  # by their path in the data set


def quote(said: object) -> str:
    """What a file says, fit to be repeated in an error.

    >>> quote("three dogs")
    "'three dogs'"
    """
    text = str(said)
    return repr(text if len(text) <= MAX_QUOTED else text[:MAX_QUOTED] + "...")


def check_names(names: Sequence[str], source: PurePosixPath | str) -> tuple[str, ...]:
    """Class names as they are; raises InvalidInput if there is none, or one that cannot be used."""
    if not names:
        raise InvalidInput(f"{source} names no classes.")
    if len(names) > MAX_CLASSES:
        raise InvalidInput(f"{source} names {len(names)} classes, more than {MAX_CLASSES}.")
    seen: set[str] = set()
    for name in names:
        if not name.strip() or name in seen:
            raise InvalidInput(f"{source}: the class name {quote(name)} is blank or there twice.")
        if len(name) > MAX_NAME or not name.isprintable():
            raise InvalidInput(
                f"{source}: the class name {quote(name)} is longer than {MAX_NAME} characters, "
                "or has some that cannot be shown."
            )
        seen.add(name)
    return tuple(names)


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


def is_picture(path: PurePosixPath) -> bool:
    return path.suffix.lower() in SUFFIXES


def by_stem(files: Iterable[PurePosixPath]) -> dict[str, list[PurePosixPath]]:
    """The pictures among the files, sorted `by_folder`, by their name without its ending."""
    pictures: dict[str, list[PurePosixPath]] = {}
    for path in sorted(filter(is_picture, files), key=by_folder):
        pictures.setdefault(path.stem, []).append(path)
    return pictures


def read_content(path: PurePosixPath, files: Files, max_bytes: int) -> bytes:
    """A file; raises InvalidInput and TooLarge, which name it."""
    try:
        return files[path](max_bytes)
    except InvalidInput as error:
        raise InvalidInput(f"{path}: {error}") from error


def read_text(path: PurePosixPath, files: Files, max_bytes: int) -> str:
    """As `read_content`, for a file of UTF-8 text."""
    try:
        return read_content(path, files, max_bytes).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is not UTF-8 text.") from error


def read_lines(path: PurePosixPath, files: Files, max_bytes: int) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, stripped, with their numbers from 1."""
    for number, line in enumerate(read_text(path, files, max_bytes).splitlines(), start=1):
        if line.strip():
            yield number, line.strip()


def _shared_folders(one: PurePosixPath, other: PurePosixPath) -> int:
    shared = 0
    for mine, theirs in zip(one.parent.parts, other.parent.parts, strict=False):
        if mine != theirs:
            break
        shared += 1
    return shared


def read_number(text: str) -> float:
    """A coordinate; raises ValueError, also for what is infinite or beyond any picture."""
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not abs(number) <= MAX_NUMBER:
        raise ValueError(f"{quote(text)} is no coordinate")
    return number


def part_of(words: Iterable[str]) -> str:
    """The part that folders or file names tell: "train", "val" or "test"; "" for none.

    >>> part_of(["images", "train2017"])
    'train'
    """
    matches = (PART.fullmatch(word) for word in words)
    return next((match[1].lower() for match in matches if match), "")
