"""What a network sees of a picture: its size by a resolution, and how many scores that gives."""

import math

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from workers.runtime.images import MAX_PIXELS
from workers.runtime.run import TooLarge
from workers.segment.augment import Size
from workers.segment.tiles import choose_tiling

MOST_ENLARGED = 4  # times the square of the resolution: pixels that a small picture may become
MOST_HELD = 160_000_000  # scores of a band of tiles, of 32 bits: 640 MB


def scale_size(width: int, height: int, resolution: int | None) -> Size:
    """(height, width) of what a network sees of a picture; without a resolution, its own.

    The shorter side becomes `resolution`. A picture is not enlarged to more than
    MOST_ENLARGED * resolution**2 pixels, or MAX_PIXELS.
    """
    if resolution is None:
        return height, width
    scale = resolution / min(width, height)
    if scale > 1:
        most = min(MOST_ENLARGED * resolution**2, MAX_PIXELS)
        scale = max(1.0, min(scale, math.sqrt(most / (width * height))))
    return max(1, round(height * scale)), max(1, round(width * scale))


def scale_picture(picture: Image.Image, seen: Size) -> Image.Image:
    """An RGB picture at another size, smoothed if that is smaller."""
    size = seen[::-1]
    return picture if picture.size == size else picture.resize(size, Image.Resampling.BILINEAR)


def scale_mask(mask: np.ndarray, seen: Size) -> np.ndarray:
    """Classes (H, W) uint8 at another size: the nearest ones."""
    if mask.shape == seen:
        return mask
    return np.asarray(Image.fromarray(mask).resize(seen[::-1], Image.Resampling.NEAREST))


def take_pixels(picture: Image.Image, seen: Size) -> Tensor:
    """The uint8 pixels (3, h, w) of an RGB picture at another size."""
    return torch.from_numpy(np.array(scale_picture(picture, seen))).permute(2, 0, 1)


def check_scores(classes: int, seen: Size) -> None:
    """Raises TooLarge if a band of tiles would hold more than MOST_HELD scores.

    So many as the shorter side seen, the side of a tile and the classes multiply to.
    """
    row = classes * min(choose_tiling(classes).side, max(seen))
    if row * min(seen) > MOST_HELD:
        raise TooLarge(
            f"The scores of {classes} classes for {seen[1]} x {seen[0]} pixels take more memory "
            f"than there is. Lower `resolution` to {MOST_HELD // row} or less."
        )
