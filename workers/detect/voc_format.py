"""Reads labels as Pascal VOC (Everingham et al., 2010) writes them: an XML file for a picture."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from xml.etree import ElementTree

import numpy as np

from workers.detect.label_files import (
    MAX_NAME,
    Files,
    by_stem,
    check_names,
    read_content,
    read_lines,
    read_number,
)
from workers.detect.labelled import Entry, Labels, Tally
from workers.runtime.data_paths import find_picture, quote
from workers.runtime.run import InvalidInput

MAX_BYTES = 1_000_000  # of an XML file, or of a list of pictures
CORNERS = ("xmin", "ymin", "xmax", "ymax")
LISTED = ("train", "val", "test")  # ImageSets/Main/{train,val,test}.txt


class NoDoctype(ElementTree.TreeBuilder):
    """Refuses what could define entities, before it does: VOC has no use for a DOCTYPE."""

    def doctype(self, *_: str | None) -> None:
        raise ValueError("a DOCTYPE is not allowed")


@dataclass(frozen=True)
class Annotation:
    """One XML file."""

    source: PurePosixPath
    size: tuple[int, int] | None  # width, height
    names: tuple[str, ...]  # the class of each object
    boxes: np.ndarray  # (N, 4) float32, edges, see `read_box`
    difficult: np.ndarray  # (N,) bool


def read_voc(files: Files) -> tuple[tuple[str, ...], list[Entry]]:
    """(class names, what each XML file tells); raises InvalidInput, which names the file.

    The classes are all that are there, sorted. A picture has the name of its XML file. Pictures
    without an XML file are left out. Raises TooLarge beyond MAX_BYTES, or the limits of `Tally`.
    """
    tally = Tally()
    notes = [_parse(path, files, tally) for path in sorted(files) if path.suffix.lower() == ".xml"]
    found = sorted({name for note in notes for name in note.names})
    names = check_names(found, PurePosixPath("Annotations"))
    places = {name: place for place, name in enumerate(names)}
    parts = _read_parts(files, {note.source.stem for note in notes})
    pictures = by_stem(files)
    return names, [
        _enter(note, places, parts.get(note.source.stem, ""), pictures) for note in notes
    ]


def read_box(xmin: float, ymin: float, xmax: float, ymax: float) -> tuple[float, ...]:
    """VOC's corners -> edges (left, top, right, bottom) in pixels from 0.

    VOC counts pixels from 1, and the last one belongs to the box: 1 to 640 is a whole row. A box
    that ends where it begins would be one pixel wide, but is what a click without a drag leaves:
    it gets no area.
    """
    if xmin == xmax or ymin == ymax:
        return (xmin, ymin, xmax, ymax)
    return (xmin - 1, ymin - 1, xmax, ymax)


def parse_xml(content: bytes) -> ElementTree.Element:
    """Raises ValueError for what is not XML in UTF-8 or so, or has a DOCTYPE."""
    parser = ElementTree.XMLParser(target=NoDoctype())
    try:
        parser.feed(content)
        root: ElementTree.Element = parser.close()
    except (ElementTree.ParseError, LookupError) as error:  # LookupError: an unknown encoding
        raise ValueError(str(error)[:MAX_NAME]) from error
    return root


def _parse(path: PurePosixPath, files: Files, tally: Tally) -> Annotation:
    content = read_content(path, files, MAX_BYTES)
    try:
        root = parse_xml(content)
        if root.tag != "annotation":
            raise ValueError(f"it holds {quote(root.tag)}, not <annotation>")
        objects = root.findall("object")
        tally.add(path, len(objects))
        return Annotation(
            path,
            _read_size(root),
            tuple(_read_name(one) for one in objects),
            np.array([_corners(one) for one in objects], np.float32),
            np.array([one.findtext("difficult", "0").strip() == "1" for one in objects], bool),
        )
    except ValueError as error:
        raise InvalidInput(f"{path} is no VOC annotation: {error}.") from error


def _enter(
    note: Annotation, places: dict[str, int], part: str, pictures: dict[str, list[PurePosixPath]]
) -> Entry:
    picture = find_picture(pictures.get(note.source.stem, []), note.source)
    if picture is None:
        raise InvalidInput(f"{note.source}: there is no picture {note.source.stem}.")
    labels = Labels.of(note.boxes, [places[name] for name in note.names], note.difficult)
    return Entry(note.source, picture, labels, part, note.size)


def _read_name(one: ElementTree.Element) -> str:
    name = _text(one, "name")
    if len(name) > MAX_NAME:
        raise ValueError(f"the class name {quote(name)} is longer than {MAX_NAME} characters")
    return sys.intern(name)  # thousands of objects share it


def _read_size(root: ElementTree.Element) -> tuple[int, int] | None:
    """(width, height), or None where a tool left it out or wrote 0."""
    if root.find("size") is None:
        return None
    width, height = (int(read_number(_text(root, f"size/{side}"))) for side in ("width", "height"))
    return (width, height) if width and height else None


def _corners(one: ElementTree.Element) -> tuple[float, ...]:
    return read_box(*(read_number(_text(one, f"bndbox/{corner}")) for corner in CORNERS))


def _text(element: ElementTree.Element, path: str) -> str:
    text = element.findtext(path, "").strip()
    if not text:
        raise ValueError(f"<{element.tag}> has no <{path}>")
    return text


def _read_parts(files: Files, known: set[str]) -> dict[str, str]:
    """Picture name -> part; raises InvalidInput for an unknown picture, or one in two parts."""
    parts: dict[str, str] = {}
    for path, part, name in _listed(files):
        if name not in known:
            raise InvalidInput(f"{path}: {quote(name)} is listed but has no XML file.")
        if parts.setdefault(name, part) != part:
            raise InvalidInput(f"{path}: {name} is in {parts[name]} too.")
    return parts


def _listed(files: Files) -> Iterator[tuple[PurePosixPath, str, str]]:
    """(list, part, picture name) of ImageSets/Main; lists of one class have other names."""
    for path in sorted(files):
        if path.parts[-3:-1] == ("ImageSets", "Main") and path.stem in LISTED:
            for _, line in read_lines(path, files, MAX_BYTES):
                yield path, path.stem, line.split()[0]
