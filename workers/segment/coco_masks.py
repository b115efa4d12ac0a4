"""Reads masks as COCO writes them: polygons and run lengths in a JSON file for each part."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass as plain_dataclass
from functools import partial
from io import BytesIO
from pathlib import PurePosixPath
from typing import Annotated

import numpy as np
from faster_coco_eval.core import mask as coco
from PIL import Image
from pydantic import Field
from pydantic.dataclasses import dataclass

from workers.runtime.coco_json import (
    MAX_BYTES,
    MAX_NUMBER,
    Category,
    Instances,
    OnImage,
    find_pictures,
    holds_instances,
    parse_instances,
)
from workers.runtime.data_paths import index_pictures, quote
from workers.runtime.images import MAX_PIXELS
from workers.runtime.run import InvalidInput, TooLarge
from workers.segment.classes import Classes, name_classes
from workers.segment.find_pairs import is_mask
from workers.segment.labelled import Files, Pair, Read, read_content
from workers.segment.metrics import VOID
from workers.segment.rle import unpack_runs

BACKGROUND = "background"  # what nobody annotated; a category of this name is the same
MAX_NAME = 100  # characters
MAX_COMMAS = 8_000_000  # of a JSON file; some 50 bytes of memory for each number
MAX_OUTLINE = 1_000_000  # pixels around a polygon; COCO's own code needs 100 bytes for each
MAX_STEPS = 10_000_000  # pixels around polygons, and run lengths, of a picture: seconds
LEAST = 500  # steps that an annotation or a polygon takes as much time as, however small it is
MAX_PAINTED = 200  # times that all pixels of a picture may be painted over: seconds

Pixel = Annotated[float, Field(ge=-MAX_NUMBER, le=MAX_NUMBER)]
Polygon = Annotated[list[Pixel], Field(min_length=6)]  # x, y, x, y and so on
Run = Annotated[int, Field(ge=0, le=MAX_PIXELS)]


@dataclass(slots=True)
class RunLengths:
    size: tuple[int, int]  # height, width
    counts: str | list[Run]  # packed, or plain


@dataclass(slots=True)
class Annotation(OnImage):
    segmentation: Annotated[list[Polygon], Field(min_length=1)] | RunLengths
    id: int | str | None = None
    iscrowd: bool = False


@plain_dataclass(frozen=True)
class CocoMasks:
    """The pairs of a data set, whose masks are made when they are read: PNGs of indices."""

    classes: Classes
    pairs: list[Pair]
    masks: dict[PurePosixPath, Read]


def is_coco(path: PurePosixPath, files: Files) -> bool:
    """Whether a JSON file holds pictures and masks, rather than captions, results or settings."""
    content = _read(path, files)
    return content is not None and b'"segmentation"' in content


def read_coco(files: Files) -> CocoMasks:
    """The masks that COCO files tell of; raises InvalidInput, which names file and annotation.

    Class 0 is the background; then come the categories of the first file in the order of their
    ids. Where annotations lie over each other, the one of the smallest area is seen. Regions of
    crowds alone are void. Raises TooLarge beyond MAX_BYTES and MAX_COMMAS.
    """
    names: tuple[str, ...] | None = None
    pairs: list[Pair] = []
    masks: dict[PurePosixPath, Read] = {}
    search = index_pictures(path for path in files if not is_mask(path))
    for path in sorted(files):
        content = _read(path, files)
        if content is None:
            continue
        if content.count(b",") > MAX_COMMAS:
            raise TooLarge(f"{path} holds more than {MAX_COMMAS} numbers: share it among several.")
        instances = parse_instances(path, content, Instances[Annotation])
        names, places = _place(path, instances.categories, names)
        for number, (image, picture, part, annotations) in enumerate(
            find_pictures(path, instances, search)
        ):
            if not image.width or not image.height:
                raise InvalidInput(f"{path}: image {quote(image.id)} has no width and height.")
            size = image.height, image.width
            mask = path / f"images.{number}"
            pairs.append(Pair(picture, mask, part, str(path)))
            masks[mask] = partial(_write, path, size, annotations, places)
    if names is None:
        raise InvalidInput("There is no COCO file with images, annotations and categories.")
    return CocoMasks(name_classes(names), pairs, masks)


def _read(path: PurePosixPath, files: Files) -> bytes | None:
    if path.suffix.lower() != ".json":
        return None
    content = read_content(path, files, MAX_BYTES)
    return content if holds_instances(content) else None


def _place(
    path: PurePosixPath, categories: Sequence[Category], names: tuple[str, ...] | None
) -> tuple[tuple[str, ...], dict[int, int]]:
    """(the names of the classes, category id -> class); without names, those of this file."""
    found = [category.name.strip() for category in categories]
    for name in found:
        if not name or found.count(name) > 1 or len(name) > MAX_NAME or not name.isprintable():
            raise InvalidInput(
                f"{path}: the category {quote(name)} is blank, there twice, longer than "
                f"{MAX_NAME} characters, or has some that cannot be shown."
            )
    own = (BACKGROUND, *(name for name in found if name != BACKGROUND))
    if len(own) > VOID:
        raise InvalidInput(f"{path} names {len(own) - 1} categories, more than {VOID - 1}.")
    names = own if names is None else names
    unknown = set(own) - set(names)
    if unknown:
        raise InvalidInput(f"{path}: the category {quote(min(unknown))} is unknown.")
    return names, {category.id: names.index(category.name.strip()) for category in categories}


def _write(
    path: PurePosixPath,
    size: tuple[int, int],
    annotations: Sequence[Annotation],
    places: Mapping[int, int],
) -> bytes:
    """The PNG of the mask of a picture."""
    image = Image.fromarray(draw_mask(path, size, annotations, places))
    file = BytesIO()
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()


def draw_mask(
    path: PurePosixPath,
    size: tuple[int, int],
    annotations: Sequence[Annotation],
    places: Mapping[int, int],
) -> np.ndarray:
    """The classes (H, W) uint8 of a picture of `size` (height, width): `places` by category id.

    Raises InvalidInput for what is no mask; TooLarge beyond the limits of this file.
    """
    if size[0] * size[1] > MAX_PIXELS:
        raise InvalidInput(f"{path}: an image has {size[1]} x {size[0]} pixels, too many.")
    steps, regions = 0, []
    for annotation in annotations:
        where = f"{path}, annotation {quote(annotation.id)}"
        steps += _count_steps(annotation.segmentation, where)
        if steps > MAX_STEPS:
            raise TooLarge(f"{where}: it is too much to draw on a picture. Make outlines simpler.")
        runs = list(_find_runs(annotation, size, where))
        area = sum(int(one[1::2].sum()) for one in runs)
        value = VOID if annotation.iscrowd else places[annotation.category_id]
        regions.append((not annotation.iscrowd, -area, value, runs))
    if sum(-area for _, area, _, _ in regions) > MAX_PAINTED * size[0] * size[1]:
        raise TooLarge(f"{path}: annotations cover a picture more than {MAX_PAINTED} times.")
    flat = np.zeros(size[0] * size[1], np.uint8)  # column by column
    for _, _, value, parts in sorted(regions, key=lambda region: region[:2]):
        for part in parts:
            edges = np.cumsum(part)
            for start, stop in zip(edges[:-1:2].tolist(), edges[1::2].tolist(), strict=True):
                flat[start:stop] = value
    return np.ascontiguousarray(flat.reshape(size[::-1]).T)


def _count_steps(given: list[Polygon] | RunLengths, where: str) -> int:
    """How much work it is to draw. Raises InvalidInput for an odd list, TooLarge for a long way."""
    if isinstance(given, RunLengths):
        return LEAST + len(given.counts)
    steps = LEAST
    for polygon in given:
        if len(polygon) % 2:
            raise InvalidInput(f"{where}: a polygon has an x without its y.")
        corners = np.array(polygon).reshape(-1, 2)
        around = int(np.abs(corners - np.roll(corners, 1, axis=0)).max(axis=1).sum())
        if around > MAX_OUTLINE:
            raise TooLarge(f"{where}: a polygon has more than {MAX_OUTLINE} pixels around it.")
        steps += LEAST + around + len(corners)
    return steps


def _find_runs(annotation: Annotation, size: tuple[int, int], where: str) -> Iterator[np.ndarray]:
    """Of each region, as `count_runs`, but for a last run of pixels that are out."""
    given = annotation.segmentation
    if isinstance(given, list):
        for polygon in given:
            (packed,) = coco.frPyObjects([polygon], *size)
            yield _end_inside(unpack_runs(packed["counts"].decode()))
        return
    if given.size != size:
        told, real = (f"{width} x {height}" for height, width in (given.size, size))
        raise InvalidInput(f"{where} has run lengths of {told} pixels, its image has {real}.")
    try:
        plain = isinstance(given.counts, list)
        runs = np.array(given.counts, np.int64) if plain else unpack_runs(str(given.counts))
    except ValueError as error:
        raise InvalidInput(f"{where}: {error}") from error
    if runs.sum() != size[0] * size[1] or (runs < 0).any():
        raise InvalidInput(f"{where}: the run lengths do not cover the image exactly once.")
    yield _end_inside(runs)


def _end_inside(runs: np.ndarray) -> np.ndarray:
    return runs[: len(runs) // 2 * 2]
