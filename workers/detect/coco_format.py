"""Reads labels as COCO writes them: one JSON file for each part (Lin et al., 2014)."""

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from workers.detect.label_files import MAX_NUMBER, Files, check_names, read_content
from workers.detect.labelled import Entry, Labels, Tally
from workers.runtime.coco_json import (
    MAX_BYTES,
    Category,
    Instances,
    OnImage,
    find_pictures,
    holds_instances,
    parse_instances,
)
from workers.runtime.data_paths import index_pictures, quote
from workers.runtime.run import InvalidInput

Pixels = Annotated[float, Field(ge=-MAX_NUMBER, le=MAX_NUMBER)]


@dataclass(slots=True)
class Annotation(OnImage):
    bbox: tuple[Pixels, Pixels, Pixels, Pixels]  # left, top, width, height
    iscrowd: bool = False


def is_coco(path: PurePosixPath, files: Files) -> bool:
    """Whether a JSON file holds pictures and boxes, rather than captions, results or settings."""
    return _read(path, files) is not None


def read_coco(files: Files) -> tuple[tuple[str, ...], list[Entry]]:
    """(class names, what is told of each picture); raises InvalidInput, which names the file.

    The classes are the categories of the first file in the order of their ids. A picture that has
    no boxes shows none of the classes. The part is read from the name of the JSON file or its
    folder. Raises TooLarge beyond MAX_BYTES, the limits of `parse_instances`, or of `Tally`.
    """
    names: tuple[str, ...] | None = None
    entries: dict[PurePosixPath, Entry] = {}
    search, tally = index_pictures(files), Tally()
    for path in sorted(files):
        content = _read(path, files)
        if content is None:
            continue
        instances = parse_instances(path, content, Instances[Annotation])
        names, places = _place(path, instances.categories, names)
        for image, picture, part, annotations in find_pictures(path, instances, search):
            if picture in entries:
                raise InvalidInput(f"{path}: the picture {picture} is labelled twice.")
            tally.add(path, len(annotations))
            size = (image.width, image.height) if image.width and image.height else None
            entries[picture] = Entry(path, picture, _label(annotations, places), part, size)
        del instances  # the next file is as large
    if names is None:
        raise InvalidInput("There is no COCO file with images, annotations and categories.")
    return names, list(entries.values())


def _read(path: PurePosixPath, files: Files) -> bytes | None:
    if path.suffix.lower() != ".json":
        return None
    content = read_content(path, files, MAX_BYTES)
    return content if holds_instances(content) else None


def _place(
    path: PurePosixPath, categories: Sequence[Category], names: tuple[str, ...] | None
) -> tuple[tuple[str, ...], dict[int, int]]:
    """(the class names, category id -> place in them); without names, those of this file."""
    found = check_names([category.name for category in categories], path)
    names = found if names is None else names
    unknown = set(found) - set(names)
    if unknown:
        raise InvalidInput(f"{path}: the class {quote(min(unknown))} is unknown.")
    return names, {category.id: names.index(category.name) for category in categories}


def _label(annotations: Sequence[Annotation], places: dict[int, int]) -> Labels:
    corners = [annotation.bbox for annotation in annotations]
    return Labels.of(
        [(left, top, left + width, top + height) for left, top, width, height in corners],
        [places[annotation.category_id] for annotation in annotations],
        crowd=[annotation.iscrowd for annotation in annotations],
    )
