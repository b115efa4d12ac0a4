"""Reads the JSON files of COCO (Lin et al., 2014): pictures, categories, and what is annotated."""

import codecs
from collections import defaultdict
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, Field, ValidationError
from pydantic.dataclasses import dataclass

from workers.runtime.data_paths import Search, find_picture, part_of, quote
from workers.runtime.run import InvalidInput, TooLarge

MAX_BYTES = 64_000_000  # of a JSON file
MAX_BRACKETS = 2_000_000  # [ and { of a JSON file; up to 400 bytes of memory for each
MAX_COMMAS = 8_000_000  # of a JSON file; some 50 bytes of memory for each number
MAX_NUMBER = 1e6  # pixels; what a coordinate can be at most
NEEDED = (b'"images"', b'"annotations"', b'"categories"')

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
class OnImage:
    """What annotations of boxes and of masks have."""

    image_id: int | str
    category_id: int


A = TypeVar("A", bound=OnImage)


class Instances(BaseModel, Generic[A]):
    """A file; whatever else it holds is not looked at.

    The first fault ends the reading: to collect each of a million would take a gigabyte.
    """

    images: Annotated[list[Image], Field(fail_fast=True)]
    annotations: Annotated[list[A], Field(fail_fast=True)]
    categories: Annotated[list[Category], Field(fail_fast=True)]


def holds_instances(content: bytes) -> bool:
    """Whether a JSON file tells of pictures, rather than captions, results or settings."""
    return all(word in content for word in NEEDED)


def parse_instances(path: PurePosixPath, content: bytes, kind: type[Instances[A]]) -> Instances[A]:
    """What a file holds, its categories in the order of their ids.

    Raises InvalidInput, which names the file; TooLarge beyond MAX_BRACKETS or MAX_COMMAS.
    """
    if content.count(b"[") + content.count(b"{") > MAX_BRACKETS:
        raise TooLarge(f"{path} holds more than {MAX_BRACKETS} lists and objects.")
    if content.count(b",") > MAX_COMMAS:
        raise TooLarge(f"{path} holds more than {MAX_COMMAS} numbers: share it among several.")
    try:
        instances = kind.model_validate_json(content.removeprefix(codecs.BOM_UTF8))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        raise InvalidInput(f"{path} is no COCO file: {place} {first['msg']}.") from error
    for what, ids in (
        ("images", [image.id for image in instances.images]),
        ("categories", [category.id for category in instances.categories]),
    ):
        if len(set(ids)) < len(ids):
            raise InvalidInput(f"{path}: two of the {what} have one id.")
    instances.categories.sort(key=lambda category: category.id)
    return instances


def tell_part(path: PurePosixPath) -> str:
    """The part that the name of a JSON file or its folder tells; "" for none.

    >>> tell_part(PurePosixPath("annotations/instances_val2017.json"))
    'val'
    """
    return part_of([*path.stem.split("_"), path.parent.name])


def find_pictures(
    path: PurePosixPath, instances: Instances[A], search: Search
) -> Iterator[tuple[Image, PurePosixPath, str, list[A]]]:
    """(as the file tells, the picture, its part, what is on it).

    The part is read from the name of the JSON file or its folder. Raises InvalidInput.
    """
    known = {category.id for category in instances.categories}
    on: defaultdict[int | str, list[A]] = defaultdict(list)
    for annotation in instances.annotations:
        if annotation.category_id not in known:
            raise InvalidInput(f"{path}: there is no category {quote(annotation.category_id)}.")
        on[annotation.image_id].append(annotation)
    stray = on.keys() - {image.id for image in instances.images}
    if stray:
        odd = quote(min(map(str, stray)))
        raise InvalidInput(f"{path}: an annotation is on image {odd}, which is missing.")
    part = tell_part(path)
    for image in instances.images:
        picture = find_picture(search(PurePosixPath(image.file_name).parts, part), path)
        if picture is None:
            raise InvalidInput(f"{path}: the picture {quote(image.file_name)} is missing.")
        yield image, picture, part, on.pop(image.id, [])
