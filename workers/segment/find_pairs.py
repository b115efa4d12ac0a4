"""Finds which mask belongs to which picture, in the three ways that data sets are laid out."""

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Literal

from workers.runtime.data_paths import PART, is_picture, part_of
from workers.runtime.run import InvalidInput
from workers.segment.labelled import Files, Pair, read_content

Layout = Literal["lists", "voc", "folders"]

LIST = re.compile(r"(train|val|test)_pairs\.txt")
MASKS = re.compile(r"(.*?)[-_ ]?(?:masks?|labels?|annot(?:ation)?s?|segmentations?)", re.IGNORECASE)
PICTURES = re.compile(r"(.*?)[-_ ]?(?:images?|imgs?|pictures?|photos?|frames?)", re.IGNORECASE)
VOC_MASKS, VOC_PICTURES = "SegmentationClass", "JPEGImages"
MAX_LIST = 2**25  # bytes of a list: some hundred thousand lines


def find_layout(files: Iterable[PurePosixPath]) -> Layout | None:
    """How the data set is laid out; None if it has no masks as files."""
    paths = list(files)
    if any(LIST.fullmatch(path.name) for path in paths):
        return "lists"
    if any(path.parent.name == VOC_MASKS for path in paths):
        return "voc"
    if any(is_mask(path) for path in paths):
        return "folders"
    return None


def find_pairs(layout: Layout, files: Files) -> list[Pair]:
    """The pairs, sorted. Raises InvalidInput, also for a mask without a picture.

    Pictures without a mask are left out.
    """
    readers = {"lists": _read_lists, "voc": _find_voc, "folders": _find_folders}
    return list(readers[layout](files))


def is_mask(path: PurePosixPath) -> bool:
    inside = any(MASKS.fullmatch(part) for part in path.parent.parts)
    return inside and path.suffix.lower() == ".png"


def _read_lists(files: Files) -> Iterator[Pair]:
    """Lines "picture mask" in `train_pairs.txt` and so on; the paths are from the list's folder."""
    for path in sorted(files):
        if match := LIST.fullmatch(path.name):
            for number, line in enumerate(_read_lines(path, files), start=1):
                words = line.split()
                if words and len(words) != 2:
                    raise InvalidInput(f"{path}, line {number}: not a picture and a mask.")
                if words:
                    picture, mask = (path.parent / word for word in words)
                    yield Pair(picture, mask, match[1], f"{path}, line {number}")


def _find_voc(files: Files) -> Iterator[Pair]:
    pictures = {path.with_suffix(""): path for path in files if is_picture(path)}
    parts = dict(_read_voc_parts(files))
    for mask in sorted(files):
        if mask.parent.name == VOC_MASKS and mask.suffix.lower() == ".png":
            root = mask.parent.parent
            picture = root / VOC_PICTURES / mask.stem
            if picture not in pictures:
                raise InvalidInput(f"{mask}: there is no picture {picture}.")
            yield Pair(pictures[picture], mask, parts.get(root / mask.stem, ""))


def _read_voc_parts(files: Files) -> Iterator[tuple[PurePosixPath, str]]:
    """Of each stem below its root, the part, of ImageSets/Segmentation/train.txt and val.txt."""
    for path in sorted(files):
        if path.parent.parts[-2:] == ("ImageSets", "Segmentation") and PART.fullmatch(path.stem):
            for line in _read_lines(path, files):
                yield path.parents[2] / line.strip(), path.stem


def _find_folders(files: Files) -> Iterator[Pair]:
    """A mask is in a folder whose name tells it; its picture has its name in such a folder."""
    pictures: dict[PurePosixPath, PurePosixPath] = {}
    for path in sorted(files):
        if is_picture(path) and not is_mask(path):
            key = _strip(path, PICTURES)
            if key in pictures:
                raise InvalidInput(f"{path} and {pictures[key]} have the same name: which is it?")
            pictures[key] = path
    for mask in sorted(filter(is_mask, files)):
        key = _strip(mask, MASKS)
        if key not in pictures:
            raise InvalidInput(f"{mask}: there is no picture of this name.")
        yield Pair(pictures[key], mask, part_of(key.parts))


def _strip(path: PurePosixPath, kind: re.Pattern[str]) -> PurePosixPath:
    """Without its ending and what makes a folder one of masks, or of pictures.

    >>> _strip(PurePosixPath("set/trainannot/a.png"), MASKS)
    PurePosixPath('set/train/a')
    """
    parts = [match[1] if (match := kind.fullmatch(part)) else part for part in path.parent.parts]
    return PurePosixPath(*parts, path.stem)


def _read_lines(path: PurePosixPath, files: Files) -> list[str]:
    try:
        return read_content(path, files, MAX_LIST).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is not UTF-8 text.") from error
