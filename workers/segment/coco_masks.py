"""Reads masks as COCO writes them: polygons and run lengths in a JSON file for each part."""

import re
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
    tell_part,
)
from workers.runtime.data_paths import Search, index_pictures, quote
from workers.runtime.images import MAX_PIXELS
from workers.runtime.run import InvalidInput, TooLarge
from workers.segment.classes import Classes, name_classes
from workers.segment.find_pairs import find_root, is_mask
from workers.segment.labelled import Files, Pair, Read, read_content
from workers.segment.metrics import VOID
from workers.segment.rle import unpack_runs

BACKGROUND = "background"  # what nobody annotated; a category of this name is the same
NOTHING = re.compile(rb'"annotations"\s*:\s*\[\s*\]')  # pictures of the background alone
MAX_NAME = 100  # characters
MAX_OUTLINE = 1_000_000  # pixels around a polygon; COCO's own code needs 100 bytes for each
MAX_STEPS = 10_000_000  # pixels around polygons, and run lengths, of a picture: seconds
LEAST = 500  # steps that an annotation or a polygon takes as much time as, however small it is
MAX_PAINTED = 200  # times that all pixels of a picture may be painted over: seconds

Pixel = Annotated[float, Field(ge=-MAX_NUMBER, le=MAX_NUMBER)]
Polygon = Annotated[list[Pixel], Field(min_length=6, fail_fast=True)]  # x, y, x, y and so on
Run = Annotated[int, Field(ge=0, le=MAX_PIXELS)]


@dataclass(slots=True)
class RunLengths:
    size: tuple[int, int]  # height, width
    counts: str | Annotated[list[Run], Field(fail_fast=True)]  # packed, or plain


@dataclass(slots=True)
class Annotation(OnImage):
    segmentation: (
        Annotated[list[Polygon], Field(fail_fast=True)] | RunLengths
    )  # [] if nobody drew it
    id: int | str | None = None
    iscrowd: bool = False


@plain_dataclass(frozen=True)
class CocoMasks:
    """The pairs of a data set, whose masks are made when they are read: PNGs of indices."""

    classes: Classes
    pairs: list[Pair]
    masks: dict[PurePosixPath, Read]


def is_coco(path: PurePosixPath, files: Files) -> bool:
    """Whether a JSON file holds pictures and masks, rather than captions, results or settings.

    One that is too large to be looked at may.
    """
    try:
        return _read(path, files) is not None
    except TooLarge:
        return True


def read_coco(files: Files) -> CocoMasks:
    """The masks that COCO files tell of; raises InvalidInput, which names file and annotation.

    Class 0 is the background; then come the categories of the first file in the order of their
    ids, then what further files add. Where annotations lie over each other, the one of the
    smallest area is seen. Regions of crowds alone are void. An annotation without a segmentation
    is left out. Raises TooLarge beyond MAX_BYTES and the limits of `parse_instances`.
    """
    classes = {BACKGROUND: 0}
    pairs: list[Pair] = []
    masks: dict[PurePosixPath, Read] = {}
    sources: dict[PurePosixPath, PurePosixPath] = {}  # of each picture, the file that tells of it
    search = _index(files)
    for path, content in _find_instances(files):
        instances = parse_instances(path, content, Instances[Annotation])
        if instances.annotations and not any(one.segmentation for one in instances.annotations):
            raise InvalidInput(f"{path}: no annotation has a segmentation; boxes are not enough.")
        places = _place(path, instances.categories, classes)
        for number, (image, picture, part, annotations) in enumerate(
            find_pictures(path, instances, search)
        ):
            if not image.width or not image.height:
                raise InvalidInput(f"{path}: image {quote(image.id)} has no width and height.")
            if (first := sources.setdefault(picture, path)) != path:
                raise InvalidInput(
                    f"{path} tells of {picture}, and {first} does too: leave {path} out, or else "
                    f"{first}."
                )
            size = image.height, image.width
            drawn = [annotation for annotation in annotations if annotation.segmentation]
            mask = path / f"images.{number}"
            pairs.append(Pair(picture, mask, part, str(path)))
            masks[mask] = partial(_write, path, size, drawn, places)
    return CocoMasks(name_classes(tuple(classes)), pairs, masks)


def _find_instances(files: Files) -> Iterator[tuple[PurePosixPath, bytes]]:
    """The files with masks. One that is too large is left out beside another one of its part."""
    parts, refusals = set(), []
    for path in sorted(files):
        try:
            content = _read(path, files)
        except TooLarge as error:
            refusals.append((tell_part(path), error))
            continue
        if content is not None:
            parts.add(tell_part(path))
            yield path, content
    for part, refusal in refusals:
        if part not in parts:
            raise refusal
    if not parts:
        raise InvalidInput(
            "There is no COCO file with images, annotations, categories and segmentations."
        )


def _index(files: Files) -> Search:
    """Finds pictures; those in folders that are called after masks if there are no others."""
    root = find_root(files)
    known, rest = index_pictures(p for p in files if not is_mask(p, root)), index_pictures(files)
    return lambda steps, part: known(steps, part) or rest(steps, part)


def _read(path: PurePosixPath, files: Files) -> bytes | None:
    """A file with masks; None for any other. Raises TooLarge beyond MAX_BYTES."""
    if path.suffix.lower() != ".json":
        return None
    content = read_content(path, files, MAX_BYTES)
    masked = b'"segmentation"' in content or NOTHING.search(content)
    return content if masked and holds_instances(content) else None


def _place(
    path: PurePosixPath, categories: Sequence[Category], classes: dict[str, int]
) -> dict[int, int]:
    """Category id -> class. Those that have none yet are added to `classes`."""
    found = {category.id: category.name.strip() for category in categories}
    things = sum(name.casefold() != BACKGROUND for name in found.values())
    if things >= VOID:
        raise InvalidInput(f"{path} names {things} categories, more than {VOID - 1}.")
    seen: set[str] = set()
    for name in found.values():
        if not name or name in seen or len(name) > MAX_NAME or not name.isprintable():
            raise InvalidInput(
                f"{path}: the category {quote(name)} is blank, there twice, longer than "
                f"{MAX_NAME} characters, or has some that cannot be shown."
            )
        seen.add(name)
    places = {
        number: 0 if name.casefold() == BACKGROUND else classes.setdefault(name, len(classes))
        for number, name in found.items()
    }
    if len(classes) > VOID:
        raise InvalidInput(
            f"{path} and the COCO files before it name {len(classes) - 1} categories, more than "
            f"{VOID - 1}."
        )
    return places


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
