"""Reads of Darknet's .cfg what a YOLOv3-tiny needs to know beside its weights."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workers.detect.model import STRIDE, Anchors
from workers.detect.yolo_config import MAX_ANCHOR, MAX_SIDE

Section = Mapping[str, str]  # what stands behind each key
SHOWN = 80  # characters of a value in a text


@dataclass(frozen=True)
class Cfg:
    """The same that YoloV3Tiny has."""

    classes: int
    anchors: Anchors  # three of the fine grid, then three of the coarse one
    side: int  # pixels


def parse_cfg(text: str) -> Cfg:
    """Raises ValueError if it is none of a YOLOv3-tiny."""
    sections = split_sections(text)
    nets, yolos = sections.get("net", []), sections.get("yolo", [])
    if len(nets) != 1 or len(yolos) != 2:
        raise ValueError("the .cfg of a YOLOv3-tiny has one section [net] and two [yolo].")
    for yolo in yolos:
        if float(yolo.get("scale_x_y", "1")) != 1 or yolo.get("new_coords", "0") != "0":
            raise ValueError("its .cfg has scale_x_y or new_coords, which YOLOv3-tiny has not.")
    [classes, *others] = {read_numbers(yolo, "classes", 1)[0] for yolo in yolos}
    if others:
        raise ValueError("the .cfg has two numbers of classes.")
    coarse, fine = yolos
    return Cfg(classes, pick_anchors(fine) + pick_anchors(coarse), read_side(nets[0]))


def split_sections(text: str) -> dict[str, list[Section]]:
    """The sections of each name, in their order."""
    sections: dict[str, list[Section]] = {}
    section: dict[str, str] = {}
    for line in text.splitlines():
        line = re.sub(r"[#;].*", "", line).strip()
        if line.startswith("["):
            section = {}
            sections.setdefault(line.strip("[] ").lower(), []).append(section)
        elif "=" in line:
            key, _, value = line.partition("=")
            section[key.strip()] = value.strip()
    return sections


def pick_anchors(yolo: Section) -> Anchors:
    """The three that the mask of a section names. Raises ValueError."""
    numbers = read_numbers(yolo, "anchors")
    mask = read_numbers(yolo, "mask", 3)
    pairs = list(zip(numbers[::2], numbers[1::2], strict=False))
    if len(numbers) % 2 or max(mask) >= len(pairs):
        raise ValueError("a mask of the .cfg names anchors that it has not.")
    anchors = tuple(pairs[place] for place in mask)
    if not all(1 <= size <= MAX_ANCHOR for anchor in anchors for size in anchor):
        raise ValueError(f"anchors of the .cfg are between 1 and {MAX_ANCHOR} pixels.")
    return anchors


def read_side(net: Section) -> int:
    [width], [height] = read_numbers(net, "width", 1), read_numbers(net, "height", 1)
    if width != height or width % STRIDE or not STRIDE <= width <= MAX_SIDE:
        raise ValueError(
            f"its .cfg has pictures of {width} x {height}: those served are squares whose side is "
            f"a multiple of {STRIDE} up to {MAX_SIDE}."
        )
    return width


def read_numbers(section: Section, key: str, count: int | None = None) -> Sequence[int]:
    """Whole numbers, 0 or more, with commas between. Raises ValueError."""
    text = section.get(key, "")
    parts = [part.strip() for part in text.strip(", ").split(",")]
    if not all(re.fullmatch(r"[0-9]{1,6}", part) for part in parts):
        raise ValueError(f"the .cfg has no whole numbers as its {key}: {text[:SHOWN]!r}.")
    if count is not None and len(parts) != count:
        raise ValueError(f"the .cfg has {len(parts)} numbers as its {key}, not {count}.")
    return [int(part) for part in parts]
