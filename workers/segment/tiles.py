"""Scores pictures of any size in bounded memory: tile by tile, averaged where they overlap."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import zip_longest

import torch
from torch import Tensor

STRIDE = 32  # pixels of a cell of the coarsest map: tiles begin where cells do

Score = Callable[[Tensor], Tensor]  # pixels (1, 3, h, w) -> scores (1, C, h, w)


@dataclass(frozen=True)
class Tiling:
    """How large pictures are cut; in pixels."""

    side: int = 1024  # of a tile, and of the largest picture that is not cut
    overlap: int = 256  # of neighbours
    # At an inner edge so many pixels of a tile count nothing, for the network sees too little
    # around them; the rest of the overlap counts more and more. From the reach of the network on,
    # half of what one score depends on, tiles give what the whole picture gives.
    margin: int = 64

    def __post_init__(self) -> None:
        if self.side % STRIDE or self.overlap % STRIDE:
            raise ValueError(f"Side and overlap of tiles must be multiples of {STRIDE}.")
        if not 0 <= 2 * self.margin < self.overlap <= self.side // 2:
            raise ValueError("Tiles must overlap by more than two margins, and at most by half.")


WHOLE = Tiling()
SMALLER = Tiling(side=512)  # where a pixel has many scores
MANY = 64  # classes


def choose_tiling(classes: int) -> Tiling:
    """A tile has at most 64 Mi scores, of 32 bits, whatever the classes."""
    return WHOLE if classes <= MANY else SMALLER


def score_bands(
    score: Score, pixels: Tensor, tiling: Tiling = WHOLE
) -> Iterator[tuple[slice, slice, Tensor]]:
    """(rows, columns, the scores (C, h, w) there) of bands that cover the picture, in order.

    The scores are gone once the next band is asked for. They are held of a band alone, along the
    shorter side of the picture: so many numbers of 32 bits as that side, the side of a tile and the
    classes multiply to.
    """
    height, width = pixels.shape[1:]
    if width > height:
        turned = score_bands(lambda tile: score(tile.mT).mT, pixels.mT, tiling)
        for columns, rows, scores in turned:
            yield rows, columns, scores.mT
        return
    spans, across = place_tiles(height, tiling), place_tiles(width, tiling)
    if len(spans) == len(across) == 1:
        yield slice(0, height), slice(0, width), score(pixels[None])[0].float().cpu()
        return
    sums: Tensor | None = None  # (C, h, W) of the band
    for span, following in zip_longest(spans, spans[1:]):
        down = weigh(span, height, tiling)
        for columns in across:
            scores = score(pixels[None, :, span, columns])[0].float().cpu()
            if sums is None:
                sums = _make_sums(scores, len(down), width)
            weights = down[:, None] * weigh(columns, width, tiling)
            sums[:, : len(down), columns].addcmul_(scores, weights)
        assert sums is not None  # there is a tile
        done = (span.stop if following is None else following.start) - span.start
        yield slice(span.start, span.start + done), slice(0, width), sums[:, :done]
        left = len(down) - done  # rows that the next band adds to
        sums[:, :left] = sums[:, done : len(down)].clone()
        sums[:, left:] = 0


def _make_sums(scores: Tensor, height: int, width: int) -> Tensor:
    """Zeros (C, height, width), in memory as the scores are: turned or not."""
    if scores.stride(1) < scores.stride(2):
        return torch.zeros(len(scores), width, height).mT
    return torch.zeros(len(scores), height, width)


def place_tiles(length: int, tiling: Tiling) -> list[slice]:
    """Where the tiles of a side are; the last one may be shorter, the first if it is alone."""
    step = tiling.side - tiling.overlap
    last = max(0, -(-(length - tiling.side) // step))  # its place among the tiles
    return [slice(n * step, min(length, n * step + tiling.side)) for n in range(last + 1)]


def count_tiles(height: int, width: int, tiling: Tiling = WHOLE) -> int:
    """Of a picture; each is scored once."""
    return len(place_tiles(height, tiling)) * len(place_tiles(width, tiling))


def weigh(span: slice, length: int, tiling: Tiling) -> Tensor:
    """What the rows, or columns, of a tile count in [0, 1]: 1 but near its inner edges.

    With those of its neighbours they are 1 everywhere.
    """
    places = torch.arange(span.start, span.stop) + 0.5
    ramp = tiling.overlap - 2 * tiling.margin
    weights = torch.ones(len(places))
    for edge, inner in ((span.start, span.start > 0), (span.stop, span.stop < length)):
        if inner:
            near = ((places - edge).abs() - tiling.margin) / ramp
            weights = torch.minimum(weights, near.clamp(0, 1))
    return weights
