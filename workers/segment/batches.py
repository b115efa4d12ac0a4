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

MAX_KEPT = 2 * 2**30  # bytes of pictures and masks in memory: 3,000 of 480 x 360


class Pictures:
    """Pictures and their masks, decoded once if all of them fit into memory."""

    def __init__(
        self,
        data: LabelledPictures,
        max_kept: int = MAX_KEPT,
        watch: Watch = watch_nothing,
    ) -> None:
        """`watch` is called before each picture that is decoded now, and may raise."""
        self.data = data
        self.kept: list[tuple[Image.Image, np.ndarray]] | None = None
        if sum(4 * one.width * one.height for one in data.pictures) <= max_kept:
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
        return found.open(), found.open_mask(self.data.classes)


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
