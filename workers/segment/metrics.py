"""How well masks were predicted: the four measures of Long, Shelhamer and Darrell (2015)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

CHUNK = 2**22  # pixels that are counted at a time: each takes some tens of bytes
VOID = 255  # the index in a mask of what has no class: neither learned nor counted


def count_pixels(truth: Tensor, found: Tensor, classes: int) -> Tensor:
    """The confusion matrix (C, C) int64 of two masks of one shape: rows are the truth.

    VOID pixels of the truth are left out; every other index is in [0, C).
    """
    total = torch.zeros(classes**2, dtype=torch.int64, device=truth.device)
    masks = (torch.split(mask.flatten(), CHUNK) for mask in (truth, found))
    for wanted, given in zip(*masks, strict=True):
        counted = wanted != VOID
        pairs = wanted[counted].long() * classes + given[counted].long()
        total += torch.bincount(pairs, minlength=classes**2)
    return total.view(classes, classes)


@dataclass(frozen=True)
class ClassScore:
    """One class. A measure is None where it would divide by no pixels."""

    name: str
    pixels: int  # of the truth
    accuracy: float | None  # share of its pixels that were found
    iou: float | None  # those found as a share of all that have, or were given, the class


@dataclass(frozen=True)
class Score:
    """Measures in [0, 1], all 0 if no pixel was counted.

    The means are over the classes for which they are defined: those that occur, and for the IoU
    also those that were found where they are not.
    """

    pixel_accuracy: float
    mean_accuracy: float
    mean_iou: float
    frequency_weighted_iou: float
    classes: tuple[ClassScore, ...]


def measure(confusion: Tensor, names: Sequence[str]) -> Score:
    """The measures of a confusion matrix (C, C), rows the truth, of so many names."""
    counts = confusion.double().cpu()
    hits, truth, found = counts.diag(), counts.sum(1), counts.sum(0)
    accuracy, iou = hits / truth, hits / (truth + found - hits)  # NaN is 0 / 0
    pixels = max(1.0, truth.sum().item())
    classes = zip(names, truth.tolist(), accuracy.tolist(), iou.tolist(), strict=True)
    return Score(
        pixel_accuracy=hits.sum().item() / pixels,
        mean_accuracy=_mean(accuracy),
        mean_iou=_mean(iou),
        frequency_weighted_iou=(truth * iou).nansum().item() / pixels,
        classes=tuple(
            ClassScore(name, int(count), _defined(share), _defined(overlap))
            for name, count, share, overlap in classes
        ),
    )


def _mean(values: Tensor) -> float:
    return values.nanmean().nan_to_num().item()


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else value
