"""Squares of pictures, cut out anew at every step, that a one-pass network learns to paint."""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from workers.runtime.spooled_data import Watch
from workers.style.contents import Content, Contents, watch_nothing
from workers.style.pictures import to_tensor

MAX_KEPT = 2**30  # bytes of pictures in memory
PIXEL = 4  # bytes, as Pillow holds RGB
SMALLEST = 0.5  # of the shorter side of a picture: the side of the smallest square


class Pictures:
    """Pictures, decoded and shrunk once if all of them fit into memory."""

    def __init__(
        self,
        data: Contents,
        window: int,
        max_kept: int = MAX_KEPT,
        watch: Watch = watch_nothing,
    ) -> None:
        """As large as squares of `window` pixels need them.

        `watch` is called before each picture that is decoded now, and may raise.
        """
        self.data, self.window = data, window
        self.kept: list[Image.Image] | None = None
        if count_bytes(data, window) <= max_kept:
            self.kept = []
            for place in range(len(self)):
                watch(place, len(self))
                self.kept.append(self._decode(place))

    def __len__(self) -> int:
        return len(self.data)

    def open(self, place: int) -> Image.Image:
        """RGB. Raises InvalidInput if its file changed since it was looked at."""
        return self._decode(place) if self.kept is None else self.kept[place]

    def _decode(self, place: int) -> Image.Image:
        found = self.data.pictures[place]
        picture, size = found.open(), choose_size(found, self.window)
        return picture if picture.size == size else picture.resize(size, Image.Resampling.BILINEAR)


def choose_size(picture: Content, window: int) -> tuple[int, int]:
    """Width and height in which its smallest squares have `window` pixels, if it has so many."""
    scale = min(1.0, window / SMALLEST / min(picture.width, picture.height))
    return max(1, round(scale * picture.width)), max(1, round(scale * picture.height))


def count_bytes(data: Contents, window: int) -> int:
    """Of all pictures in memory."""
    sizes = (choose_size(one, window) for one in data.pictures)
    return sum(PIXEL * width * height for width, height in sizes)


def choose_rows(count: int, batch: int, seed: int, step: int) -> list[int]:
    """Which of `count` pictures a step shows: all come once before one comes again."""
    rows = list[int]()
    while len(rows) < batch:
        epoch, place = divmod(step * batch + len(rows), count)
        order = np.random.default_rng((seed, epoch)).permutation(count)
        rows += order[place : place + batch - len(rows)].tolist()
    return rows


def draw_windows(
    pictures: Pictures, rows: Sequence[int], places: Sequence[int], seed: int, step: int
) -> Tensor:
    """Squares (N, 3, window, window) of the pictures at `rows`: RGB in [0, 1], channels last.

    What is cut out depends on the seed, the step and the `places` of the squares in it alone.
    """
    cuts = [
        to_tensor(cut(pictures.open(row), pictures.window, np.random.default_rng((seed, step, at))))
        for row, at in zip(rows, places, strict=True)
    ]
    return torch.cat(cuts).contiguous(memory_format=torch.channels_last)


def cut(picture: Image.Image, window: int, chance: np.random.Generator) -> Image.Image:
    """A square of it, SMALLEST to all of its shorter side, at `window` pixels; perhaps mirrored.

    It is enlarged if the picture is smaller, and else not.
    """
    shorter = min(picture.size)
    side = max(min(window, shorter), shorter * chance.uniform(SMALLEST, 1))
    left, top = (chance.uniform(0, length - side) for length in picture.size)
    box = (left, top, min(left + side, picture.width), min(top + side, picture.height))
    square = picture.resize((window, window), Image.Resampling.BILINEAR, box)
    flip = chance.random() < 0.5
    return square.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if flip else square
