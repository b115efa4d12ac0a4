"""Reads a data set of pictures and masks from a folder or a zip, however it is laid out."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from workers.runtime.run import InvalidInput
from workers.runtime.zips import is_hidden, open_zip
from workers.segment import classes as known
from workers.segment.classes import Classes, name_classes, read_classes
from workers.segment.find_pairs import Layout, find_layout, find_pairs
from workers.segment.labelled import (
    Files,
    LabelledPictures,
    Watch,
    gather,
    read_content,
    watch_nothing,
)

MAX_FILES = 100_000  # of a zip
MAX_BYTES = 8 * 2**30  # of all files of a zip, unpacked
MAX_FILE = 2**28  # bytes of one file: 40 million pixels that could not be packed
MAX_CLASSES = 2**20  # bytes of the file that names classes

DEFAULTS: dict[Layout, Classes] = {
    "voc": name_classes(known.VOC_NAMES.split()),
    "lists": name_classes(known.CAMVID_NAMES.split(), known.CAMVID_VOID),
}


def read_folder(folder: Path, watch: Watch = watch_nothing) -> LabelledPictures:
    """The pairs below a folder, all looked at.

    `classes.json` names the classes; without it they are those of Pascal VOC in its folders, of
    CamVid in lists of pairs, else numbers. `watch` is called before each pair is looked at.
    Raises InvalidInput, which names the file that cannot be used; TooLarge beyond
    `labelled.MAX_PIXELS`.
    """
    if not folder.is_dir():
        raise InvalidInput(f"{folder} is not a folder.")
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return _read({PurePosixPath(p.relative_to(folder)): p.read_bytes for p in paths}, watch)


@contextmanager
def read_zip(file: IO[bytes], watch: Watch = watch_nothing) -> Iterator[LabelledPictures]:
    """As `read_folder`, from outside; nothing is unpacked to disk.

    The pictures can be opened within the `with` alone. Raises also InvalidInput for a path that
    leaves the zip, TooLarge beyond MAX_FILES, MAX_BYTES or MAX_FILE.
    """
    with open_zip(file, MAX_FILES, MAX_BYTES) as members:
        files = {member.path: partial(member.read, MAX_FILE) for member in members}
        if len(files) < len(members):
            raise InvalidInput("Two files in the zip have the same path.")
        yield _read(files, watch)


def _read(files: Files, watch: Watch) -> LabelledPictures:
    seen = {path: read for path, read in files.items() if not is_hidden(path)}
    layout = find_layout(seen)
    named = [path for path in seen if path.name == known.FILE]
    classes = DEFAULTS.get(layout)
    if named:
        first = min(named, key=lambda path: (len(path.parts), path))
        classes = read_classes(read_content(first, seen, MAX_CLASSES), str(first))
    return gather(classes, find_pairs(layout, seen), seen, watch)
