"""Brings scores of a scaled picture to the picture's own size, band by band."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

MAX_NUMBERS = 2**24  # of 32 bits in a band that is given out: 64 MiB

Band = tuple[slice, slice, Tensor]  # rows, columns, the scores (C, h, w) there


def restore_bands(
    bands: Iterable[Band],
    seen: tuple[int, int],
    size: tuple[int, int],
    most: int = MAX_NUMBERS,
) -> Iterator[Band]:
    """Bands of scores at `size`, of those at the size `seen` as `score_bands` gives them, in order.

    Sizes are (height, width). The scores are those of a bilinear interpolation whose corners are
    not aligned, and without smoothing: for sizes that are larger, or little smaller. A band given
    out has at most `most` numbers, or is one row, or column; it is gone once the next is asked for.
    """
    if seen == size:
        yield from bands
    elif seen[1] > seen[0]:  # the bands are columns
        turned = ((columns, rows, scores.mT) for rows, columns, scores in bands)
        for columns, rows, scores in _restore_rows(turned, seen[::-1], size[::-1], most):
            yield rows, columns, scores.mT
    else:
        yield from _restore_rows(bands, seen, size, most)


def _restore_rows(
    bands: Iterable[Band], seen: tuple[int, int], size: tuple[int, int], most: int
) -> Iterator[Band]:
    above, below, nearer = _place_rows(seen[0], size[0])
    widest = max(size[1], seen[1] * -(-seen[0] // size[0]))  # numbers of a row, or those it is of
    last, done = torch.empty(0), 0  # `last` is the row before the band
    for rows, _, scores in bands:
        ready = int(torch.searchsorted(below, rows.stop))
        step = max(1, most // (len(scores) * widest))
        for start in range(done, ready, step):
            part = slice(start, min(start + step, ready))
            first, end = int(above[part][0]), int(below[part][-1]) + 1
            known = scores[:, max(first - rows.start, 0) : end - rows.start]
            if first < rows.start:
                known = torch.cat([last, known], dim=1)
            upper, lower = known[:, above[part] - first], known[:, below[part] - first]
            mixed = torch.lerp(upper, lower, nearer[part, None])
            wide = F.interpolate(mixed[None], (mixed.shape[1], size[1]), mode="bilinear")[0]
            yield part, slice(0, size[1]), wide
        done, last = ready, scores[:, -1:].clone()


def _place_rows(seen: int, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Of each row wanted the rows above and below it (size,) int64, and how near the latter is."""
    middles = (torch.arange(size, dtype=torch.float64) + 0.5) * (seen / size) - 0.5
    places = middles.clamp(0, seen - 1)
    above = places.long()
    return above, (above + 1).clamp(max=seen - 1), (places - above).float()
