"""Reads a data set of labelled pictures from a folder or a zip, whichever format it has."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Literal

from workers.detect.coco_format import is_coco, read_coco
from workers.detect.label_files import Files
from workers.detect.labelled import Entry, LabelledPictures, Watch, gather, watch_nothing
from workers.detect.voc_format import read_voc
from workers.detect.yolo_format import find_label, read_yolo
from workers.runtime.data_paths import is_picture, quote
from workers.runtime.run import InvalidInput
from workers.runtime.zips import check_first, check_size, is_hidden, open_zip

MAX_FILES = 100_000  # of a zip: a picture and a label file each
MAX_BYTES = 8 * 2**30  # of all files of a zip, unpacked
MAX_FOLDERS = 30  # around a file

Format = Literal["voc", "coco", "yolo"]
Reader = Callable[[Files], tuple[tuple[str, ...], list[Entry]]]

Check = Callable[[], None]

READERS: dict[Format, Reader] = {"voc": read_voc, "coco": read_coco, "yolo": read_yolo}


def check_nothing() -> None:
    """Nobody stops the reading."""


def read_folder(
    folder: Path,
    kind: Format | None = None,
    watch: Watch = watch_nothing,
) -> LabelledPictures:
    """The labelled pictures below a folder, their boxes as edges in pixels.

    Without `kind` the format is found by the files that are there. `watch` is called before each
    picture is looked at. Raises InvalidInput, which names the file that cannot be used; TooLarge
    beyond the limits of `labelled`, and for a file of labels that is too long.
    """
    if not folder.is_dir():
        raise InvalidInput(f"{folder} is not a folder.")
    paths = [path for path in folder.rglob("*") if path.is_file()]
    names = [PurePosixPath(path.relative_to(folder)) for path in paths]
    return _read({name: partial(_read_file, folder, name) for name in names}, kind, watch)


@contextmanager
def read_zip(
    file: IO[bytes],
    kind: Format | None = None,
    watch: Watch = watch_nothing,
    check: Check = check_nothing,
) -> Iterator[LabelledPictures]:
    """As `read_folder`, from outside; nothing is unpacked to disk.

    The pictures can be opened within the `with` alone. `check` is called before each file is read,
    then too, and may raise. Raises also InvalidInput for a path that
    leaves the zip, TooLarge beyond MAX_FILES or MAX_BYTES.
    """
    with open_zip(file, MAX_FILES, MAX_BYTES) as members:
        files = {member.path: check_first(check, member.read) for member in members}
        if len(files) < len(members):
            raise InvalidInput("Two files in the zip have the same path.")
        yield _read(files, kind, watch)


def find_format(files: Files) -> Format:
    """The format of the label files; raises InvalidInput if there are none, or of two formats."""
    found: list[Format] = []
    if any(path.suffix.lower() == ".xml" for path in files):
        found.append("voc")
    if any(is_coco(path, files) for path in files):
        found.append("coco")
    if any(find_label(path, files) for path in files if is_picture(path)):
        found.append("yolo")
    if not found:
        raise InvalidInput("There are no labels: VOC XML, COCO JSON or YOLO text files.")
    if len(found) > 1:
        raise InvalidInput(f"There are labels in several formats: say which of {found} counts.")
    return found[0]


def _read(files: Files, kind: Format | None, watch: Watch) -> LabelledPictures:
    seen = {path: read for path, read in files.items() if not is_hidden(path)}
    for path in seen:
        if len(path.parts) > MAX_FOLDERS + 1:
            raise InvalidInput(f"{quote(path)} lies in more than {MAX_FOLDERS} folders.")
    names, entries = READERS[kind or find_format(seen)](seen)
    return gather(names, entries, seen, watch)


def _read_file(folder: Path, name: PurePosixPath, most: int) -> bytes:
    path = folder / name
    check_size(name, path.stat().st_size, most)
    return path.read_bytes()
