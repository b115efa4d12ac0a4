"""Eigenfaces (Turk and Pentland, 1991) and raw pixels: what a trained network has to beat."""

import numpy as np
from sklearn.decomposition import PCA


class Eigenfaces:
    """A face as its place along the directions in which faces differ most.

    Not whitened: with few people that is the stronger rival.
    """

    def __init__(self, chips: np.ndarray, dimensions: int) -> None:
        """Learns from (N, side, side, 3) uint8; N > dimensions."""
        self.pca = PCA(dimensions, svd_solver="full").fit(flatten(chips))

    def encode(self, chips: np.ndarray) -> np.ndarray:
        """(B, side, side, 3) uint8 -> (B, dimensions) float32, unit length."""
        return normalize(self.pca.transform(flatten(chips)))


def encode_pixels(chips: np.ndarray) -> np.ndarray:
    """(B, side, side, 3) uint8 -> (B, side * side) float32, without the mean, unit length."""
    grey = flatten(chips)
    return normalize(grey - grey.mean(axis=1, keepdims=True))


def flatten(chips: np.ndarray) -> np.ndarray:
    """(B, side, side, 3) uint8 -> grey (B, side * side) in [0, 1]."""
    grey: np.ndarray = chips.mean(axis=3, dtype=np.float32) / 255
    return grey.reshape(len(chips), -1)


def normalize(points: np.ndarray) -> np.ndarray:
    length: np.ndarray = np.linalg.norm(points, axis=1, keepdims=True)
    unit: np.ndarray = points / np.maximum(length, 1e-12)
    return unit.astype(np.float32)
