"""Looks at a picture of any size with a network, in bounded memory."""

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from workers.runtime.images import MAX_PIXELS
from workers.runtime.run import TooLarge
from workers.segment.restore import Band, restore_bands
from workers.segment.served import Served
from workers.segment.tiles import choose_tiling, count_tiles, score_bands

MOST_ENLARGED = 4  # times the square of the resolution: pixels that a small picture may become
MOST_HELD = 160_000_000  # scores of a band of tiles, of 32 bits: 640 MB
MOST_TOGETHER = 2**21  # pixels that a network sees at once of several pictures
MOST_SCORES = 2**26  # of these pixels: 256 MiB

Watch = Callable[[float], None]  # gets the share of the picture that was looked at; may raise


def _ignore(_done: float) -> None:
    pass


def choose_size(
    served: Served, width: int, height: int, resolution: int | None = None
) -> tuple[int, int]:
    """(height, width) of what the network sees of a picture.

    The shorter side becomes `resolution`, by default the model's own. A picture is not enlarged
    to more than MOST_ENLARGED * resolution**2 pixels, or MAX_PIXELS. A model that sees squares sees
    those of its own resolution alone.
    """
    if served.square:
        return served.resolution, served.resolution
    wanted = resolution or served.resolution
    scale = wanted / min(width, height)
    if scale > 1:
        most = min(MOST_ENLARGED * wanted**2, MAX_PIXELS)
        scale = max(1.0, min(scale, math.sqrt(most / (width * height))))
    return max(1, round(height * scale)), max(1, round(width * scale))


def take_pixels(picture: Image.Image, seen: tuple[int, int]) -> Tensor:
    """The uint8 pixels (3, h, w) of an RGB picture at another size, smoothed if that is smaller."""
    size = seen[::-1]
    if picture.size != size:
        picture = picture.resize(size, Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)


def score_picture(
    served: Served,
    picture: Image.Image,
    resolution: int | None = None,
    watch: Watch = _ignore,
) -> Iterator[Band]:
    """(rows, columns, scores (C, h, w)) of bands that cover an RGB picture, at its own size.

    `watch` is called after each tile. Raises TooLarge if a band of tiles would hold more than
    MOST_HELD scores: so many as the shorter side seen, the side of a tile and the classes multiply
    to.
    """
    seen = choose_size(served, *picture.size, resolution)
    check_memory(served, seen)
    tiling = choose_tiling(len(served.labels))
    count, done = count_tiles(*seen, tiling), 0

    def score(tile: Tensor) -> Tensor:
        nonlocal done
        scores = served.score(tile)
        done += 1
        watch(done / count)
        return scores

    bands = score_bands(score, take_pixels(picture, seen), tiling)
    return restore_bands(bands, seen, (picture.height, picture.width))


def count_together(served: Served, seen: tuple[int, int]) -> int:
    """How many pictures may be looked at together; 0 if even one is cut into tiles."""
    classes = len(served.labels)
    if count_tiles(*seen, choose_tiling(classes)) > 1:
        return 0
    pixels = seen[0] * seen[1]
    return max(1, min(MOST_TOGETHER // pixels, MOST_SCORES // (classes * pixels)))


def score_together(
    served: Served, pictures: Sequence[Image.Image], seen: tuple[int, int]
) -> Iterator[Iterator[Band]]:
    """For each RGB picture what `score_picture` gives; at most so many as `count_together` says."""
    tiles = torch.stack([take_pixels(picture, seen) for picture in pictures])
    whole = slice(0, seen[0]), slice(0, seen[1])
    for picture, scores in zip(pictures, served.score(tiles).cpu(), strict=True):
        yield restore_bands([(*whole, scores)], seen, (picture.height, picture.width))


def check_memory(served: Served, seen: tuple[int, int]) -> None:
    """Raises TooLarge."""
    classes = len(served.labels)
    row = classes * min(choose_tiling(classes).side, max(seen))
    if row * min(seen) > MOST_HELD:
        raise TooLarge(
            f"{served.name} knows {classes} classes: the scores of {seen[1]} x {seen[0]} "
            f"pixels take more memory than there is. Lower `resolution` to {MOST_HELD // row} or "
            "less."
        )


def find_mask(
    served: Served,
    picture: Image.Image,
    resolution: int | None = None,
    watch: Watch = _ignore,
) -> np.ndarray:
    """The classes (H, W) uint8 of an RGB picture. Raises as `score_picture`."""
    mask = np.empty((picture.height, picture.width), np.uint8)
    for rows, columns, scores in score_picture(served, picture, resolution, watch):
        mask[rows, columns] = choose_best(scores)
    return mask


def choose_best(scores: Tensor) -> np.ndarray:
    """The classes (h, w) uint8 of scores (C, h, w); any class where they are not numbers."""
    return scores.max(dim=0).indices.to(torch.uint8).numpy()  # faster than argmax
