"""Reads labels as COCO writes them: one JSON file for each part (Lin et al., 2014)."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from workers.detect.label_files import (
    MAX_NUMBER,
    Files,
    by_stem,
    check_names,
    find_picture,
    part_of,
    read_text,
)
from workers.detect.labelled import Entry, Labels
from workers.runtime.run import InvalidInput

MAX_BYTES = 200_000_000  # of a JSON file
NEEDED = ('"images"', '"annotations"', '"categories"')

Pixels = Annotated[float, Field(ge=-MAX_NUMBER, le=MAX_NUMBER)]


class Category(BaseModel):
    id: int
    name: str


class Image(BaseModel):
    id: int | str
    file_name: str = Field(min_length=1)
    width: int | None = None
    height: int | None = None


class Annotation(BaseModel):
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
    if path.suffix.lower() != ".json":
        return False
    text = read_text(path, files, MAX_BYTES)
    return all(word in text for word in NEEDED)


def read_coco(
    files: Files, wanted: Sequence[str] | None = None
) -> tuple[tuple[str, ...], list[Entry]]:
    """(class names, what is told of each picture); raises InvalidInput, which names the file.

    The classes are `wanted`, or the categories in the order of their ids. A picture that has no
    boxes shows none of the classes. The part is read from the name of the JSON file or its folder.
    """
    parsed = {path: _parse(path, files) for path in sorted(files) if is_coco(path, files)}
    names: tuple[str, ...] | None = tuple(wanted) if wanted is not None else None
    entries: list[Entry] = []
    pictures = by_stem(files)
    for path, instances in parsed.items():
        categories = sorted(instances.categories, key=lambda category: category.id)
        found = check_names([category.name for category in categories], path)
        if names is None:
            names = found
        unknown = set(found) - set(names)
        if unknown:
            raise InvalidInput(f"{path}: the class {min(unknown)!r} is unknown.")
        places = {category.id: names.index(category.name) for category in categories}
        entries += _enter(path, instances, places, pictures)
    if names is None:
        raise InvalidInput("There is no COCO file with images, annotations and categories.")
    return names, entries


def _parse(path: PurePosixPath, files: Files) -> Instances:
    try:
        instances = Instances.model_validate_json(read_text(path, files, MAX_BYTES))
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


def _enter(
    path: PurePosixPath,
    instances: Instances,
    places: dict[int, int],
    pictures: dict[str, list[PurePosixPath]],
) -> list[Entry]:
    boxes: defaultdict[int | str, list[Annotation]] = defaultdict(list)
    for annotation in instances.annotations:
        if annotation.category_id not in places:
            raise InvalidInput(f"{path}: there is no category {annotation.category_id}.")
        boxes[annotation.image_id].append(annotation)
    stray = boxes.keys() - {image.id for image in instances.images}
    if stray:
        raise InvalidInput(f"{path}: a box is on image {min(map(str, stray))}, which is missing.")
    part = part_of([*path.stem.split("_"), path.parent.name])
    return [
        Entry(
            path,
            _locate(path, image.file_name, pictures, part),
            _label(boxes[image.id], places),
            part,
            (image.width, image.height) if image.width and image.height else None,
        )
        for image in instances.images
    ]


def _label(annotations: Sequence[Annotation], places: dict[int, int]) -> Labels:
    corners = [annotation.bbox for annotation in annotations]
    return Labels.of(
        [(left, top, left + width, top + height) for left, top, width, height in corners],
        [places[annotation.category_id] for annotation in annotations],
        crowd=[annotation.iscrowd for annotation in annotations],
    )


def _locate(
    source: PurePosixPath, name: str, pictures: dict[str, list[PurePosixPath]], part: str
) -> PurePosixPath:
    """The picture whose path ends as `name`, of several the one in a folder of this part."""
    wanted = PurePosixPath(name)
    ends = [
        path
        for path in pictures.get(wanted.stem, [])
        if path.parts[-len(wanted.parts) :] == wanted.parts
    ]
    own = [path for path in ends if part and part_of(path.parent.parts) == part]
    picture = find_picture(own or ends, source)
    if picture is None:
        raise InvalidInput(f"{source}: the picture {name} is missing.")
    return picture
