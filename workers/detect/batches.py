"""Batches for training a detector: pictures on the network's square, changed anew every time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from workers.detect.augment import Augmentation, draw_change, to_square
from workers.detect.average_precision import ignored
from workers.detect.labelled import LabelledPicture, Labels, Watch, watch_nothing
from workers.detect.process import fit_picture, letterbox
from workers.detect.yolo_config import YoloConfig
from workers.detect.yolo_grid import GridTruth, encode

MAX_KEPT = 4 * 2**30  # bytes of squares in memory: 7,000 of 448 x 448, 28,000 of 224 x 224


class Squares:
    """Pictures on the network's square, decoded once if all of them fit into memory."""

    def __init__(
        self,
        pictures: Sequence[LabelledPicture],
        side: int,
        bordered: bool,
        max_kept: int = MAX_KEPT,
        watch: Watch = watch_nothing,
    ) -> None:
        """`bordered`: they keep their shape and lie on grey; otherwise they are stretched.

        `watch` is called before each picture is decoded.
        """
        self.pictures, self.side = pictures, side
        self.fits = [fit_picture(one.width, one.height, side, bordered) for one in pictures]
        self.kept: np.ndarray | None = None  # (N, side, side, 3) uint8
        if len(pictures) * side**2 * 3 <= max_kept:
            self.kept = np.empty((len(pictures), side, side, 3), np.uint8)
            for place in range(len(pictures)):
                watch(place, len(pictures))
                self.kept[place] = self._decode(place)

    def __len__(self) -> int:
        return len(self.pictures)

    def pixels(self, place: int) -> np.ndarray:
        """(side, side, 3) uint8, RGB. Raises InvalidInput if the file changed since it was read."""
        return self._decode(place) if self.kept is None else self.kept[place]

    def labels(self, place: int) -> Labels:
        """What is on it, its boxes in pixels of the square."""
        labels = self.pictures[place].labels
        boxes = self.fits[place].to_square(torch.from_numpy(labels.boxes)).numpy()
        return Labels(boxes, labels.classes, labels.difficult, labels.crowd)

    def _decode(self, place: int) -> np.ndarray:
        return letterbox(self.pictures[place].open(), self.fits[place])


@dataclass(frozen=True)
class Batch:
    """N pictures as the network sees them, and what it should answer."""

    pixels: Tensor  # (N, 3, side, side) in [0, 1], channels last in memory
    truth: GridTruth

    def to(self, device: torch.device) -> "Batch":
        return Batch(self.pixels.to(device), self.truth.to(device))

    def __len__(self) -> int:
        return len(self.pixels)


def draw_order(count: int, batch: int, seed: int, epoch: int) -> np.ndarray:
    """Which of `count` pictures the batches of an epoch show: (batches, pictures of each).

    Every picture comes once; if they do not divide, the first of the epoch fill its last batch.
    """
    order = np.random.default_rng((seed, epoch)).permutation(count)
    size = min(batch, count)
    return np.resize(order, (-(-count // size), size))


def draw_batch(
    squares: Squares,
    rows: np.ndarray,
    config: YoloConfig,
    change: Augmentation,
    chance: tuple[int, int],
) -> Batch:
    """The pictures at `rows` (N,), each changed by chance: its place, the seed and the epoch.

    Objects that are difficult, or a crowd, are not learned from.
    """
    pixels, boxes, classes = [], [], []
    for row in rows.tolist():
        light, labels = draw_picture(squares, row, change, chance)
        pixels.append(light)
        boxes.append(torch.from_numpy(labels.boxes))
        classes.append(torch.from_numpy(labels.classes))
    stacked = torch.stack(pixels).contiguous(memory_format=torch.channels_last)
    return Batch(stacked, encode(boxes, classes, config))


def draw_picture(
    squares: Squares, row: int, change: Augmentation, chance: tuple[int, int]
) -> tuple[Tensor, Labels]:
    """Pixels (3, side, side) in [0, 1], and the objects in an order of their own every epoch.

    Of two objects in one cell the first is learned from, so none should always be the second.
    """
    labels = squares.labels(row)
    labels = labels.keep(~ignored(labels))
    light, seen = to_square(
        Image.fromarray(squares.pixels(row)),
        labels,
        squares.side,
        draw_change(change, *chance, row),
        least_part=change.least_part,
    )
    order = np.random.default_rng((*chance, row, 1)).permutation(len(seen))
    return light, seen.keep(order)
