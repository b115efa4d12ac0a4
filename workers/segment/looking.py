"""Looks at a picture of any size with a network, in bounded memory."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from workers.runtime.run import InvalidInput
from workers.segment.restore import Band, restore_bands
from workers.segment.scores import ignore, join_bands
from workers.segment.served import Served
from workers.segment.sizes import check_scores, scale_size, take_pixels
from workers.segment.tiles import choose_tiling, count_tiles, score_bands

MOST_TOGETHER = 2**21  # pixels that a network sees at once of several pictures
MOST_SCORES = 2**26  # of these pixels: 256 MiB

Watch = Callable[[float], None]  # gets the share of the picture that was looked at; may raise


def choose_size(
    served: Served, width: int, height: int, resolution: int | None = None
) -> tuple[int, int]:
    """(height, width) of what the network sees of a picture.

    `scale_size` says how, by default with the model's own resolution. A model that sees squares
    sees those of its own resolution alone: raises InvalidInput for another.
    """
    if served.square:
        if resolution not in (None, served.resolution):
            raise InvalidInput(
                f"{served.name} always sees a square of {served.resolution} pixels: leave "
                "`resolution` out, or choose another model."
            )
        return served.resolution, served.resolution
    return scale_size(width, height, resolution or served.resolution)


def score_picture(
    served: Served,
    picture: Image.Image,
    resolution: int | None = None,
    watch: Watch = ignore,
) -> Iterator[Band]:
    """(rows, columns, scores (C, h, w)) of bands that cover an RGB picture, at its own size.

    `watch` is called after each tile. Raises TooLarge, as `check_scores`.
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
    """Raises TooLarge, as `check_scores`."""
    check_scores(len(served.labels), seen)


def find_mask(
    served: Served,
    picture: Image.Image,
    resolution: int | None = None,
    watch: Watch = ignore,
) -> np.ndarray:
    """The classes (H, W) uint8 of an RGB picture. Raises as `score_picture`."""
    bands = score_picture(served, picture, resolution, watch)
    return join_bands(bands, picture.height, picture.width).numpy()
