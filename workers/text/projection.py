"""Vectors in the plane, by their principal components."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Projection:
    points: np.ndarray  # (N, 2)
    explained: np.ndarray  # (2,): the part of the variance on x and on y, [0, 1]


def project(vectors: np.ndarray) -> Projection:
    """(N, d), N and d of 2 or more, onto the two directions in which they differ most.

    A direction and its opposite are as good: that is taken in which the largest part is positive.
    """
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    _, lengths, directions = np.linalg.svd(centred, full_matrices=False)
    axes = directions[:2]  # (2, d)
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)
    axes = axes * np.where(largest < 0, -1, 1)
    variance = lengths**2
    return Projection(centred @ axes.T, variance[:2] / max(variance.sum(), np.finfo(float).tiny))
