"""The files that a data set of labelled pictures is made of, on disk or in a zip."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from workers.detect.yolo_config import MAX_CLASSES
from workers.runtime.data_paths import by_folder, is_picture, quote
from workers.runtime.run import InvalidInput

MAX_NUMBER = 1e6  # pixels; what a coordinate can be at most
MAX_NAME = 200  # characters of a class name

Read = Callable[[int], bytes]  # of at most so many bytes; beyond, TooLarge before any is read
Files = Mapping[PurePosixPath, Read]  # by their path in the data set


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


def read_number(text: str) -> float:
    """A coordinate; raises ValueError, also for what is infinite or beyond any picture."""
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not abs(number) <= MAX_NUMBER:
        raise ValueError(f"{quote(text)} is no coordinate")
    return number
