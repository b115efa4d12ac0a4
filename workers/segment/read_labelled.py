"""Reads a data set of pictures and masks from a folder or a zip, however it is laid out."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from workers.runtime.run import InvalidInput
from workers.runtime.zips import check_first, is_hidden, open_zip
from workers.segment import classes as known
from workers.segment.classes import Classes, name_classes, read_classes
from workers.segment.coco_masks import is_coco, read_coco
from workers.segment.fields import Format
from workers.segment.find_pairs import find_layout, find_pairs
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
MAX_CLASSES = 2**18  # bytes of the file that names classes

Check = Callable[[], None]

DEFAULTS: dict[Format, Classes] = {
    "voc": name_classes(known.VOC_NAMES.split()),
    "lists": known.CAMVID,
}


def check_nothing() -> None:
    """Nobody stops the reading."""


def read_folder(
    folder: Path, kind: Format | None = None, watch: Watch = watch_nothing
) -> LabelledPictures:
    """The pairs below a folder, all looked at.

    Without `kind` the format is found by the files that are there. `classes.json` names the
    classes; without it they are the categories of a COCO file, those of Pascal VOC in its folders,
    of CamVid in lists of pairs, else numbers. `watch` is called before each pair is looked at.
    Raises InvalidInput, which names the file that cannot be used; TooLarge beyond
    `labelled.MAX_PIXELS`, and for a COCO file that is too long.
    """
    if not folder.is_dir():
        raise InvalidInput(f"{folder} is not a folder.")
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return _read({PurePosixPath(p.relative_to(folder)): p.read_bytes for p in paths}, kind, watch)


@contextmanager
def read_zip(
    file: IO[bytes],
    kind: Format | None = None,
    watch: Watch = watch_nothing,
    check: Check = check_nothing,
) -> Iterator[LabelledPictures]:
    """As `read_folder`, from outside; nothing is unpacked to disk.

    The pictures can be opened within the `with` alone. `check` is called before each file is read,
    then too, and may raise. Raises also InvalidInput for a path that leaves the zip, TooLarge
    beyond MAX_FILES, MAX_BYTES or MAX_FILE.
    """
    with open_zip(file, MAX_FILES, MAX_BYTES) as members:
        files = {
            member.path: check_first(check, partial(member.read, MAX_FILE)) for member in members
        }
        if len(files) < len(members):
            raise InvalidInput("Two files in the zip have the same path.")
        yield _read(files, kind, watch)


def _read(files: Files, kind: Format | None, watch: Watch) -> LabelledPictures:
    seen = {path: read for path, read in files.items() if not is_hidden(path)}
    kind = kind or find_format(seen)
    if kind == "coco":
        found = read_coco(seen)
        return gather(found.classes, found.pairs, {**seen, **found.masks}, watch)
    named = [path for path in seen if path.name == known.FILE]
    classes = DEFAULTS.get(kind)
    if named:
        first = min(named, key=lambda path: (len(path.parts), path))
        classes = read_classes(read_content(first, seen, MAX_CLASSES), str(first))
    return gather(classes, find_pairs(kind, seen), seen, watch)


def find_format(files: Files) -> Format:
    """What a data set is; masks as files come before COCO's. Raises InvalidInput without any."""
    layout = find_layout(files)
    if layout is None and any(is_coco(path, files) for path in files):
        return "coco"
    if layout is None:
        raise InvalidInput(
            "There are no masks, or no pictures beside them: put masks into a folder `masks` "
            "beside `images`, each a PNG with the name of its picture; or name the pairs in "
            "`train_pairs.txt`; or use Pascal VOC's folders, or a COCO JSON with segmentations."
        )
    return layout
