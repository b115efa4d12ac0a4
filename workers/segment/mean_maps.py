"""Gathers how likely classes are, band by band, on maps that are small whatever the picture."""

from collections.abc import Sequence

import torch
from torch import Tensor

MAX_SIDE = 1024  # pixels


class MeanMaps:
    """Probabilities of some of the classes: the means of the pixels that a pixel of a map is of."""

    def __init__(self, classes: Sequence[int], height: int, width: int) -> None:
        """Of a picture; the longer side of the maps has at most MAX_SIDE pixels."""
        scale = min(1.0, MAX_SIDE / max(height, width))
        self.rows, self.columns = (_share_out(side, scale) for side in (height, width))
        self.classes = torch.tensor(classes)
        places = int(self.rows[-1]) + 1, int(self.columns[-1]) + 1
        self.sums = torch.zeros(len(classes), *places)
        self.highest = torch.zeros(len(classes))  # of any pixel of the picture, in [0, 1]

    def add(self, rows: slice, columns: slice, scores: Tensor) -> None:
        """Scores (C, h, w) of a part of the picture; what are no numbers count as 0."""
        likely = scores.softmax(dim=0)[self.classes].nan_to_num(nan=0.0).clamp(0, 1)
        self.highest = torch.maximum(self.highest, likely.amax(dim=(1, 2)))
        down, across = self.rows[rows], self.columns[columns]
        narrow = likely.new_zeros(*likely.shape[:2], self.sums.shape[2])
        narrow.index_add_(2, across, likely)
        self.sums.index_add_(1, down, narrow)

    def find_means(self) -> Tensor:
        """(K, h, w) in [0, 1], in the order of the classes, once all parts were added."""
        counts = torch.bincount(self.rows)[:, None] * torch.bincount(self.columns)
        return (self.sums / counts).clamp(0, 1)


def _share_out(side: int, scale: float) -> Tensor:
    """The place on a map of each of so many rows, or columns: (side,) int64."""
    places = max(1, round(side * scale))
    return torch.arange(side) * places // side
