"""Reads labels as COCO writes them: one JSON file for each part (Lin et al., 2014)."""

import codecs
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError
from pydantic.dataclasses import dataclass

from workers.detect.label_files import MAX_NUMBER, Files, check_names, read_content
from workers.detect.labelled import Entry, Labels, Tally
from workers.runtime.data_paths import Search, find_picture, index_pictures, part_of, quote
from workers.runtime.run import InvalidInput, TooLarge

MAX_BYTES = 64_000_000  # of a JSON file
MAX_BRACKETS = 2_000_000  # [ and { of a JSON file; up to 400 bytes of memory for each
NEEDED = (b'"images"', b'"annotations"', b'"categories"')

Pixels = Annotated[float, Field(ge=-MAX_NUMBER, le=MAX_NUMBER)]
Side = Annotated[int, Field(ge=0, le=MAX_NUMBER)]


@dataclass(slots=True)
class Category:
    id: int
    name: str


@dataclass(slots=True)
class Image:
    id: int | str
    file_name: Annotated[str, Field(min_length=1)]
    width: Side | None = None
    height: Side | None = None


@dataclass(slots=True)
class Annotation:
    image_id: int | str
    category_id: int
    bbox: tuple[Pixels, Pixels, Pixels, Pixels]  # left, top, width, height
    iscrowd: bool = False


class Instances(BaseModel):
    """A file; whatever else it holds is not looked at."""

    images: list[Image]
    annotations: list[Annotation]
    categories: list[Category]


def is_coco(path: PurePosixPath, files: Files) -> bool:
    """Whether a JSON file holds pictures and boxes, rather than captions, results or settings."""
    return _read(path, files) is not None


def read_coco(files: Files) -> tuple[tuple[str, ...], list[Entry]]:
    """(class names, what is told of each picture); raises InvalidInput, which names the file.

    The classes are the categories of the first file in the order of their ids. A picture that has
    no boxes shows none of the classes. The part is read from the name of the JSON file or its
    folder. Raises TooLarge beyond MAX_BYTES and MAX_BRACKETS, or the limits of `Tally`.
    """
    names: tuple[str, ...] | None = None
    entries: dict[PurePosixPath, Entry] = {}
    search, tally = index_pictures(files), Tally()
    for path in sorted(files):
        content = _read(path, files)
        if content is None:
            continue
        instances = _parse(path, content)
        names, places = _place(path, instances, names)
        for entry in _enter(path, instances, places, search):
            if entry.picture in entries:
                raise InvalidInput(f"{path}: the picture {entry.picture} is labelled twice.")
            tally.add(path, len(entry.labels))
            entries[entry.picture] = entry
        del instances  # the next file is as large
    if names is None:
        raise InvalidInput("There is no COCO file with images, annotations and categories.")
    return names, list(entries.values())


def _read(path: PurePosixPath, files: Files) -> bytes | None:
    if path.suffix.lower() != ".json":
        return None
    content = read_content(path, files, MAX_BYTES)
    return content if all(word in content for word in NEEDED) else None


def _parse(path: PurePosixPath, content: bytes) -> Instances:
    if content.count(b"[") + content.count(b"{") > MAX_BRACKETS:
        raise TooLarge(f"{path} holds more than {MAX_BRACKETS} lists and objects.")
    try:
        instances = Instances.model_validate_json(content.removeprefix(codecs.BOM_UTF8))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        raise InvalidInput(f"{path} is no COCO file: {place} {first['msg']}.") from error
    for kind, ids in (
        ("images", [image.id for image in instances.images]),
        ("categories", [category.id for category in instances.categories]),
    ):
        if len(set(ids)) < len(ids):
            raise InvalidInput(f"{path}: two of the {kind} have one id.")
    return instances


def _place(
    path: PurePosixPath, instances: Instances, names: tuple[str, ...] | None
) -> tuple[tuple[str, ...], dict[int, int]]:
    """(the class names, category id -> place in them); without names, those of this file."""
    categories = sorted(instances.categories, key=lambda category: category.id)
    found = check_names([category.name for category in categories], path)
    names = found if names is None else names
    unknown = set(found) - set(names)
    if unknown:
        raise InvalidInput(f"{path}: the class {quote(min(unknown))} is unknown.")
    return names, {category.id: names.index(category.name) for category in categories}


def _enter(
    path: PurePosixPath, instances: Instances, places: dict[int, int], search: Search
) -> Iterator[Entry]:
    boxes: defaultdict[int | str, list[Annotation]] = defaultdict(list)
    for annotation in instances.annotations:
        if annotation.category_id not in places:
            raise InvalidInput(f"{path}: there is no category {quote(annotation.category_id)}.")
        boxes[annotation.image_id].append(annotation)
    stray = boxes.keys() - {image.id for image in instances.images}
    if stray:
        odd = quote(min(map(str, stray)))
        raise InvalidInput(f"{path}: a box is on image {odd}, which is missing.")
    part = part_of([*path.stem.split("_"), path.parent.name])
    for image in instances.images:
        picture = find_picture(search(PurePosixPath(image.file_name).parts, part), path)
        if picture is None:
            raise InvalidInput(f"{path}: the picture {quote(image.file_name)} is missing.")
        size = (image.width, image.height) if image.width and image.height else None
        yield Entry(path, picture, _label(boxes.pop(image.id, []), places), part, size)


def _label(annotations: Sequence[Annotation], places: dict[int, int]) -> Labels:
    corners = [annotation.bbox for annotation in annotations]
    return Labels.of(
        [(left, top, left + width, top + height) for left, top, width, height in corners],
        [places[annotation.category_id] for annotation in annotations],
        crowd=[annotation.iscrowd for annotation in annotations],
    )
