"""Brings scores of a scaled picture to the picture's own size, band by band."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

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
    along = int(seen[1] > seen[0])  # what bands follow each other in: 0 rows, 1 columns
    across = 1 - along
    if seen == size:
        yield from _cut(bands, along, most)
        return
    lines = _Lines.place(seen[along], size[along])
    longest = max(size[across], seen[across] * -(-seen[along] // size[along]))
    before, done = torch.empty(0), 0  # `before` is the line in front of the band
    for rows, columns, scores in bands:
        span = (rows, columns)[along]
        ready = lines.count_ready(span.stop)
        step = max(1, most // (len(scores) * longest))
        for start in range(done, ready, step):
            part = slice(start, min(start + step, ready))
            mixed = lines.mix(part, before, scores, span.start, along)
            if along:
                yield slice(0, size[0]), part, _stretch(mixed, size[0], part.stop - part.start)
            else:
                yield part, slice(0, size[1]), _stretch(mixed, part.stop - part.start, size[1])
        done = ready
        before = scores.narrow(along + 1, span.stop - span.start - 1, 1).clone()


def _cut(bands: Iterable[Band], along: int, most: int) -> Iterator[Band]:
    """The same scores in bands of at most `most` numbers, or of one row, or column."""
    for rows, columns, scores in bands:
        whole, count = (rows, columns)[along], scores.shape[along + 1]
        step = max(1, most // (scores.numel() // count))
        for start in range(0, count, step):
            part = scores.narrow(along + 1, start, min(step, count - start))
            span = slice(whole.start + start, whole.start + start + part.shape[along + 1])
            yield (rows, span, part) if along else (span, columns, part)


@dataclass(frozen=True)
class _Lines:
    """For each row wanted, or column, the two that it lies between, and how near the second is."""

    first: Tensor  # (size,) int64
    second: Tensor  # (size,) int64
    share: Tensor  # (size,) float32

    @classmethod
    def place(cls, seen: int, size: int) -> "_Lines":
        middles = (torch.arange(size, dtype=torch.float64) + 0.5) * (seen / size) - 0.5
        places = middles.clamp(0, seen - 1)
        first = places.long()
        return cls(first, (first + 1).clamp(max=seen - 1), (places - first).float())

    def count_ready(self, known: int) -> int:
        """How many can be made of so many."""
        return int(torch.searchsorted(self.second, known))

    def mix(self, part: slice, before: Tensor, scores: Tensor, start: int, along: int) -> Tensor:
        """Those of `part`, of a band that begins at `start` and of the line before it."""
        axis = along + 1
        first, second = self.first[part], self.second[part]
        begin, end = int(first[0]), int(second[-1]) + 1
        known = scores.narrow(axis, max(begin - start, 0), end - max(begin, start))
        if begin < start:
            known = torch.cat([before, known], dim=axis)
        share = self.share[part] if along else self.share[part, None]
        return torch.lerp(
            known.index_select(axis, first - begin), known.index_select(axis, second - begin), share
        )


def _stretch(scores: Tensor, height: int, width: int) -> Tensor:
    return F.interpolate(scores[None], (height, width), mode="bilinear")[0]
