"""Segments pictures of any size in bounded memory: tile by tile, averaged where they overlap."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

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


def segment(score: Score, pixels: Tensor, tiling: Tiling = WHOLE) -> Tensor:
    """The classes (H, W) uint8 of pixels (3, H, W) on the CPU: the best scores.

    Scores are held of a band of tiles alone, along the shorter side of the picture: so many numbers
    of 32 bits as that side, the side of a tile and the classes multiply to, twice.
    """
    classes = torch.empty(pixels.shape[1:], dtype=torch.uint8)
    for rows, columns, scores in score_bands(score, pixels, tiling):
        classes[rows, columns] = scores.argmax(dim=0).to(torch.uint8)
    return classes


def score_bands(
    score: Score, pixels: Tensor, tiling: Tiling = WHOLE
) -> Iterator[tuple[slice, slice, Tensor]]:
    """(rows, columns, the scores (C, h, w) there) of bands that cover the picture, in order."""
    height, width = pixels.shape[1:]
    if width > height:
        turned = score_bands(lambda tile: score(tile.mT).mT, pixels.mT, tiling)
        for columns, rows, scores in turned:
            yield rows, columns, scores.mT
        return
    spans, across = place_tiles(height, tiling), place_tiles(width, tiling)
    kept: Tensor | None = None  # of the band before, what the next one adds to
    for span, following in pairwise([*spans, None]):
        assert span is not None
        band = _score_band(score, pixels[:, span], span, across, (height, width), tiling)
        if kept is not None:
            band[:, : kept.shape[1]] += kept
        done = span.stop if following is None else following.start
        ready, kept = band[:, : done - span.start], band[:, done - span.start :].clone()
        yield slice(span.start, done), slice(0, width), ready


def _score_band(
    score: Score,
    pixels: Tensor,
    rows: slice,
    across: list[slice],
    size: tuple[int, int],
    tiling: Tiling,
) -> Tensor:
    """Sums (C, h, W) of the weighed scores of tiles side by side."""
    down = weigh(rows, size[0], tiling)
    sums: Tensor | None = None
    for columns in across:
        scores = score(pixels[None, :, :, columns])[0].float().cpu()
        weights = down[:, None] * weigh(columns, size[1], tiling)
        if sums is None:
            sums = torch.zeros(len(scores), len(down), size[1])
        sums[:, :, columns] += scores * weights
    assert sums is not None  # there is a tile
    return sums


def place_tiles(length: int, tiling: Tiling) -> list[slice]:
    """Where the tiles of a side are; the last one may be shorter, the first if it is alone."""
    step = tiling.side - tiling.overlap
    last = max(0, -(-(length - tiling.side) // step))  # its place among the tiles
    return [slice(n * step, min(length, n * step + tiling.side)) for n in range(last + 1)]


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
