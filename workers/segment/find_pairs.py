"""Finds which mask belongs to which picture, in the three ways that data sets are laid out."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import takewhile
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
MASK_NAME = re.compile(r"(.+)[-_]masks?", re.IGNORECASE)  # a stem
MAX_LIST = 2**25  # bytes of a list: some hundred thousand lines
LAID_OUT: dict[Layout, str] = {
    "lists": "lines of a picture and a mask in `train_pairs.txt` or `val_pairs.txt`",
    "voc": "pictures in `JPEGImages` and masks in `SegmentationClass`",
    "folders": "pictures in `images`, and PNGs of the same names in `masks`",
}


def find_layout(files: Iterable[PurePosixPath]) -> Layout | None:
    """How the data set is laid out; None if it has no masks as files."""
    paths = list(files)
    if any(LIST.fullmatch(path.name) for path in paths):
        return "lists"
    if any(path.parent.name == VOC_MASKS for path in paths):
        return "voc"
    if _sort(paths)[1]:
        return "folders"
    return None


def find_pairs(layout: Layout, files: Files) -> list[Pair]:
    """The pairs, sorted. Raises InvalidInput, also for a mask without a picture.

    Pictures without a mask are left out.
    """
    readers = {"lists": _read_lists, "voc": _find_voc, "folders": _find_folders}
    pairs = list(readers[layout](files))
    if not pairs:
        raise InvalidInput(
            f"There are no pictures with a mask laid out as {layout}: {LAID_OUT[layout]} are "
            "missing."
        )
    return pairs


def find_root(files: Iterable[PurePosixPath]) -> PurePosixPath:
    """The folder that has all pictures and masks: what it is called tells nothing."""
    folders = [path.parent.parts for path in files if is_picture(path)]
    first, last = min(folders, default=()), max(folders, default=())
    same = takewhile(lambda both: both[0] == both[1], zip(first, last, strict=False))
    return PurePosixPath(*(part for part, _ in same))


def is_mask(path: PurePosixPath, root: PurePosixPath) -> bool:
    """Whether the deepest folder below `root` that tells of masks or pictures tells of masks."""
    below = path.parent.parts[len(root.parts) :]
    told = (part for part in reversed(below) if MASKS.fullmatch(part) or PICTURES.fullmatch(part))
    return MASKS.fullmatch(next(told, "")) is not None


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
    """A mask is in a folder whose name tells it; its picture has its name in such a folder.

    Where there are no such folders, masks end with `_mask`. A mask in its folder may do so too.
    """
    pictures, masks = _sort(files)
    for mask in masks:
        key = _strip(mask)
        called = (pictures[one] for one in (key, _strip_name(key)) if one in pictures)
        found = next((paths for paths in called if mask not in paths), None)
        if found is None:
            raise InvalidInput(f"{mask}: there is no picture {_expect(mask)}.")
        if len(found) > 1:
            raise InvalidInput(f"{found[0]} and {found[1]} have the same name: which is it?")
        yield Pair(found[0], mask, part_of(key.parts))


def _sort(
    files: Iterable[PurePosixPath],
) -> tuple[dict[PurePosixPath, list[PurePosixPath]], list[PurePosixPath]]:
    """(the pictures by what they have in common with their masks, the masks)."""
    paths = sorted(filter(is_picture, files))
    root = find_root(paths)
    pictures: defaultdict[PurePosixPath, list[PurePosixPath]] = defaultdict(list)
    for path in paths:
        if not is_mask(path, root):
            pictures[_strip(path)].append(path)
    pngs = [path for path in paths if path.suffix.lower() == ".png"]
    masks = [path for path in pngs if is_mask(path, root)]
    return dict(pictures), masks or [path for path in pngs if _strip_name(_strip(path)) in pictures]


def _strip(path: PurePosixPath) -> PurePosixPath:
    """Without its ending and what makes a folder one of masks, or of pictures.

    >>> _strip(PurePosixPath("set/trainannot/a.png"))
    PurePosixPath('set/train/a')
    """
    parts = list(path.parent.parts)
    for kind in (MASKS, PICTURES):
        parts = [match[1] if (match := kind.fullmatch(part)) else part for part in parts]
    return PurePosixPath(*parts, path.stem)


def _strip_name(key: PurePosixPath) -> PurePosixPath:
    """What the picture of a mask called `a_mask` has in common with it; "" for other names."""
    match = MASK_NAME.fullmatch(key.name)
    return key.with_name(match[1]) if match else PurePosixPath()


def _expect(mask: PurePosixPath) -> PurePosixPath:
    """Where the picture of a mask in a folder of masks would be found, without its ending."""
    parts = list(mask.parent.parts)
    place = max(place for place, part in enumerate(parts) if MASKS.fullmatch(part))
    told = MASKS.fullmatch(parts[place])
    parts[place] = (told and told[1]) or "images"
    return PurePosixPath(*parts, mask.stem)


def _read_lines(path: PurePosixPath, files: Files) -> list[str]:
    try:
        return read_content(path, files, MAX_LIST).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is not UTF-8 text.") from error
