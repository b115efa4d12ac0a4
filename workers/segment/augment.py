"""Pictures and masks as a network learns from them: a window of one size, other each time."""

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from workers.runtime.vgg16 import MEAN
from workers.segment.metrics import VOID

Size = tuple[int, int]  # height, width in pixels
GREY = tuple(round(share * 255) for share in MEAN)  # beyond the picture: 0 for the network


@dataclass(frozen=True)
class Augmentation:
    """How much pictures are changed."""

    scale: float = 1.5  # largest factor of the size; the smallest is its inverse
    exposure: float = 1.3  # largest factor of the brightness; the smallest is its inverse
    flip: float = 0.5  # how likely left and right are swapped

    def __post_init__(self) -> None:
        if min(self.scale, self.exposure) < 1 or not 0 <= self.flip <= 1:
            raise ValueError("Scale and exposure must be 1 or more, flip between 0 and 1.")


@dataclass(frozen=True)
class Change:
    """What happens to one picture."""

    scale: float = 1.0
    place: tuple[float, float] = (0.5, 0.5)  # of the window, down and right: 0.5 is the middle
    exposure: float = 1.0
    flip: bool = False


UNCHANGED = Change()


def draw_change(options: Augmentation, seed: int, epoch: int, picture: int) -> Change:
    """The same for the same seed, epoch and picture (its place in the data set), whatever else."""
    chance = np.random.default_rng((seed, epoch, picture))
    scale, exposure = (
        float(largest ** chance.uniform(-1, 1)) for largest in (options.scale, options.exposure)
    )
    down, right = chance.random(2).tolist()
    return Change(scale, (down, right), exposure, bool(chance.random() < options.flip))


def cut(
    picture: Image.Image, mask: np.ndarray, size: Size, change: Change = UNCHANGED
) -> tuple[Tensor, Tensor]:
    """A window of `size` -> pixels (3, h, w) in [0, 1], and classes (h, w) int64.

    An RGB picture and its mask (H, W) uint8 are scaled, the mask by its nearest pixels. Where the
    window is larger than the picture, the picture is somewhere in it, between grey and VOID.
    """
    down, right = change.place
    top, height = _place(picture.height, size[0], change.scale, down)
    left, width = _place(picture.width, size[1], change.scale, right)
    seen = (height.stop - height.start, width.stop - width.start)
    box = (left.start, top.start, left.stop, top.stop)
    pixels = np.full((*size, 3), GREY, np.uint8)
    classes = np.full(size, VOID, np.uint8)
    small = picture.resize(seen[::-1], Image.Resampling.BILINEAR, box)
    nearest = Image.fromarray(mask).resize(seen[::-1], Image.Resampling.NEAREST, box)
    pixels[height, width], classes[height, width] = np.asarray(small), np.asarray(nearest)
    if change.flip:
        pixels, classes = pixels[:, ::-1], classes[:, ::-1]
    light = torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255
    light = (light * change.exposure).clamp(max=1)
    return light.contiguous(), torch.from_numpy(classes.astype(np.int64))


@dataclass(frozen=True)
class Span:
    """Of the picture, from a place to another; in pixels, and parts of them."""

    start: float
    stop: float


def _place(length: int, window: int, scale: float, place: float) -> tuple[Span, slice]:
    """(what is seen of a side of the picture, where that is in the window)."""
    scaled = max(1, round(length * scale))
    if scaled <= window:
        start = round((window - scaled) * place)
        return Span(0, length), slice(start, start + scaled)
    pixel = length / scaled  # of the window, in pixels of the picture
    start = round((scaled - window) * place)
    return Span(start * pixel, min(length, (start + window) * pixel)), slice(0, window)
