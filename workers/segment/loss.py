"""What a segmentation network learns by: the cross-entropy of every pixel that has a class."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from workers.segment.metrics import VOID


class Loss(NamedTuple):
    """A sum over pixels, and what it is divided by to be their mean."""

    total: Tensor  # ()
    weight: Tensor  # (), the weights of the pixels together: their number if all weigh 1

    @property
    def mean(self) -> Tensor:
        """0 if no pixel has a class."""
        return self.total / self.weight.clamp(min=1e-12)


def segmentation_loss(scores: Tensor, truth: Tensor, weights: Tensor | None = None) -> Loss:
    """Of scores (N, C, H, W) and classes (N, H, W) int64, VOID left out.

    `weights` (C,): what a pixel of each class counts. The authors take the total, with a learning
    rate as small as it is large; with the mean, the rate does not depend on the pictures' size.
    """
    total = F.cross_entropy(scores, truth, weights, ignore_index=VOID, reduction="sum")
    return Loss(total, weigh_pixels(truth, weights))


def weigh_pixels(truth: Tensor, weights: Tensor | None = None) -> Tensor:
    """What the pixels that have a class weigh together: their number if all weigh 1."""
    known = truth != VOID
    return known.sum().float() if weights is None else weights[truth[known]].sum()


def balance(pixels: Tensor) -> Tensor:
    """Weights (C,) of classes of so many pixels (C,): by the root of how rare they are.

    The pixels weigh 1 on average; a class without pixels weighs 1. The full inverse, as of Eigen
    and Fergus (2015), lets a few pixels of a rare class outweigh all others.
    """
    counts = pixels.double()
    occurs = counts > 0
    rare = torch.where(occurs, counts.clamp(min=1).rsqrt(), 0)
    weights = rare * counts.sum() / (rare * counts).sum().clamp(min=1e-12)
    return torch.where(occurs, weights, 1).float()
