"""Labelled pictures as a network learns from them: on its square, a little different each time."""

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional as F

from workers.detect.labelled import Labels
from workers.detect.process import GREY, Fit


@dataclass(frozen=True)
class Augmentation:
    """How much pictures are changed, as for YOLO (Redmon et al., 2016, section 2.2)."""

    scale: float = 0.2  # the picture becomes so much smaller or larger, a share of its size
    shift: float = 0.2  # and moves so far in each direction, a share of its size
    exposure: float = 1.5  # largest factor for V of HSV; the smallest is its inverse
    saturation: float = 1.5  # and for S
    flip: float = 0.5  # how likely left and right are swapped
    least_part: float = 0.25  # a box of whose area less than this stays visible is left out


@dataclass(frozen=True)
class Change:
    """What happens to one picture."""

    scale: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)  # to the right and down, shares of width and height
    exposure: float = 1.0
    saturation: float = 1.0
    flip: bool = False


UNCHANGED = Change()


def draw_change(options: Augmentation, seed: int, step: int, picture: int) -> Change:
    """The same for the same seed, step and picture (its place in the data set), whatever else."""
    chance = np.random.default_rng((seed, step, picture))
    right, down = chance.uniform(-options.shift, options.shift, 2).tolist()
    return Change(
        scale=chance.uniform(1 - options.scale, 1 + options.scale),
        shift=(right, down),
        exposure=draw_factor(options.exposure, chance),
        saturation=draw_factor(options.saturation, chance),
        flip=chance.random() < options.flip,
    )


def draw_factor(largest: float, chance: np.random.Generator) -> float:
    """In [1 / largest, largest], as often below 1 as above; `largest` is 1 or more."""
    factor = chance.uniform(1, largest)
    return factor if chance.random() < 0.5 else 1 / factor


def to_square(
    picture: Image.Image,
    labels: Labels,
    side: int,
    change: Change = UNCHANGED,
    letterbox: bool = True,
    least_part: float = 0.0,
) -> tuple[Tensor, Labels]:
    """An RGB picture and what is on it -> pixels (3, side, side) in [0, 1], boxes on the square.

    The picture keeps its shape and lies centred on grey (`letterbox`), or is stretched, as YOLO's
    first version does. Where a change moves it away it leaves grey; boxes are clipped at the
    border it had, and left out if less than `least_part` of their area remains.
    """
    pixels = F.pil_to_tensor(picture)
    boxes = tv_tensors.BoundingBoxes(
        torch.from_numpy(labels.boxes),
        format="XYXY",
        canvas_size=(picture.height, picture.width),
        clamping_mode=None,  # clipped below, after their whole area was taken
    )
    pixels, boxes = look_through(pixels, boxes, change)
    kept, boxes = clip(boxes, least_part)
    fit = Fit.of(picture.width, picture.height, side)
    if not letterbox:
        fit = Fit((picture.width, picture.height), (side, side), (0, 0), side)
    pixels, boxes = (place(one, fit) for one in (pixels, boxes))
    if change.flip:
        pixels, boxes = (F.horizontal_flip(one) for one in (pixels, boxes))
    light = change_light(pixels.contiguous().float() / 255, change.exposure, change.saturation)
    chosen = labels.keep(kept.numpy())
    return light, Labels(boxes.numpy(), chosen.classes, chosen.difficult, chosen.crowd)


def look_through(
    pixels: Tensor, boxes: tv_tensors.BoundingBoxes, change: Change
) -> tuple[Tensor, tv_tensors.BoundingBoxes]:
    """What is seen through a window onto the picture and the grey around it.

    A window of half the size shows everything at twice the scale; one that moves left shows it
    further to the right.
    """
    height, width = pixels.shape[1:]
    tall, wide = max(1, round(height / change.scale)), max(1, round(width / change.scale))
    left = round((width - wide) / 2 - change.shift[0] * width)
    top = round((height - tall) / 2 - change.shift[1] * height)
    # left, top, right, bottom: what the window shows beyond the picture
    beyond = [-left, -top, left + wide - width, top + tall - height]
    border = [max(0, size) for size in beyond]
    padded = (F.pad(one, border, fill=GREY[0]) for one in (pixels, boxes))
    pixels, boxes = (F.crop(one, top + border[1], left + border[0], tall, wide) for one in padded)
    return pixels, boxes


def clip(
    boxes: tv_tensors.BoundingBoxes, least_part: float
) -> tuple[Tensor, tv_tensors.BoundingBoxes]:
    """(which boxes stay (N,) bool, those (K, 4) cut at the border)."""
    clipped = F.clamp_bounding_boxes(boxes, clamping_mode="soft")
    visible, whole = area(clipped), area(boxes)
    kept = (visible > 0) & (visible >= least_part * whole)
    return kept, tv_tensors.wrap(clipped[kept], like=boxes)


def area(boxes: Tensor) -> Tensor:
    """(N, 4) xyxy -> (N,)."""
    corners = boxes.as_subclass(Tensor)
    return (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])


def place(one: Tensor, fit: Fit) -> Tensor:
    """Pixels or boxes on the square."""
    inside = F.resize(one, [fit.inside[1], fit.inside[0]], antialias=True)
    left, top = fit.corner
    right, bottom = fit.side - fit.inside[0] - left, fit.side - fit.inside[1] - top
    placed: Tensor = F.pad(inside, [left, top, right, bottom], fill=GREY[0])
    return placed


def change_light(pixels: Tensor, exposure: float, saturation: float) -> Tensor:
    """RGB (3, H, W) in [0, 1] -> V and S of HSV multiplied, at most 1; the hue stays.

    V is the largest of a pixel's three values, and S how far the smallest is below it, as a share.
    """
    value = pixels.amax(dim=0)
    spread = value - pixels.amin(dim=0)
    richer = (value / spread.clamp(min=1e-6)).clamp(max=saturation)  # S is 1 at value / spread
    brighter = (1 / value.clamp(min=1e-6)).clamp(max=exposure)
    changed: Tensor = (value - (value - pixels) * richer) * brighter
    return changed.clamp(0, 1)  # what rounding leaves
