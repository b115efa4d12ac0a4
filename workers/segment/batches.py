"""Batches for training: windows of pictures and masks, changed anew every time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from workers.runtime.vgg16 import normalise
from workers.segment.augment import Augmentation, Size, cut, draw_change
from workers.segment.labelled import LabelledPictures, Watch, watch_nothing
from workers.segment.sizes import scale_mask, scale_picture, scale_size

MAX_KEPT = 2 * 2**30  # bytes of pictures and masks in memory: 2,400 of 480 x 360
PIXEL = 5  # bytes: 4 of a picture, as Pillow holds RGB, and 1 of its mask


class Pictures:
    """Pictures and their masks, decoded and scaled once if all of them fit into memory."""

    def __init__(
        self,
        data: LabelledPictures,
        resolution: int | None = None,
        max_kept: int = MAX_KEPT,
        watch: Watch = watch_nothing,
    ) -> None:
        """At `resolution`, as `scale_size` says; by default as they are.

        `watch` is called before each picture that is decoded now, and may raise.
        """
        self.data, self.resolution = data, resolution
        self.kept: list[tuple[Image.Image, np.ndarray]] | None = None
        if count_bytes(data, resolution) <= max_kept:
            self.kept = []
            for place in range(len(self)):
                watch(place, len(self))
                self.kept.append(self._decode(place))

    def __len__(self) -> int:
        return len(self.data.pictures)

    def open(self, place: int) -> tuple[Image.Image, np.ndarray]:
        """RGB, and the classes (H, W) uint8. Raises InvalidInput if a file changed since."""
        return self._decode(place) if self.kept is None else self.kept[place]

    def _decode(self, place: int) -> tuple[Image.Image, np.ndarray]:
        found = self.data.pictures[place]
        seen = scale_size(found.width, found.height, self.resolution)
        mask = found.open_mask(self.data.classes)
        return scale_picture(found.open(), seen), scale_mask(mask, seen)


def count_bytes(data: LabelledPictures, resolution: int | None) -> int:
    """Of all pictures and masks at a resolution."""
    sizes = (scale_size(one.width, one.height, resolution) for one in data.pictures)
    return sum(PIXEL * height * width for height, width in sizes)


@dataclass(frozen=True)
class Batch:
    """N windows as the network sees them, and what it should answer."""

    pixels: Tensor  # (N, 3, h, w) normalised
    truth: Tensor  # (N, h, w) int64, VOID where there is no class

    def to(self, device: torch.device) -> "Batch":
        return Batch(self.pixels.to(device), self.truth.to(device))


def draw_order(count: int, batch: int, seed: int, epoch: int) -> np.ndarray:
    """Which of `count` pictures the batches of an epoch show: (batches, pictures of each).

    Every picture comes once; if they do not divide, the first of the epoch fill its last batch.
    """
    order = np.random.default_rng((seed, epoch)).permutation(count)
    size = min(batch, count)
    return np.resize(order, (-(-count // size), size))


def draw_batch(
    pictures: Pictures, rows: Sequence[int], size: Size, change: Augmentation, seed: int, epoch: int
) -> Batch:
    """Windows of the pictures at `rows`, each changed by chance: its place, seed and epoch."""
    cuts = [cut(*pictures.open(row), size, draw_change(change, seed, epoch, row)) for row in rows]
    pixels = normalise(torch.stack([pixels for pixels, _ in cuts]))
    return Batch(
        pixels.contiguous(memory_format=torch.channels_last),
        torch.stack([classes for _, classes in cuts]),
    )
