"""Turns, scales and moves a face so that its landmarks lie where an encoder expects them."""

import math

import numpy as np
from PIL import Image

DLIB_SIDE = 150  # pixels
# (5, 2) x, y on such a chip: dlib's mean face with its padding of a quarter.
DLIB_TEMPLATE = np.array(
    [[47.549, 46.599], [100.476, 46.599], [74.013, 76.563], [50.415, 103.023], [97.610, 103.023]],
    np.float32,
)


def align(
    picture: Image.Image, landmarks: np.ndarray, template: np.ndarray, side: int
) -> np.ndarray:
    """The chip (side, side, 3) uint8 on which landmarks (5, 2) come closest to a template (5, 2).

    Both in pixels, the template on the chip. Pixels are averaged where the face is larger than
    the chip; outside the picture it is black. Raises ValueError if the landmarks are one point,
    not finite, or so far outside that the chip would show nothing of the picture.
    """
    matrix, offset = invert(*fit_similarity(landmarks, template))  # from the chip to the picture
    shrink = math.hypot(*matrix[:, 0])  # pixels of the picture per pixel of the chip
    region = find_region(matrix, offset, side, picture.size)
    whole = max(1, int(shrink))  # a whole number of pixels is averaged first
    part = picture.reduce(whole, region)
    fine = 2 if shrink > 1 else 1  # 1 to 2 are left for each of the chip, so sample twice
    matrix, offset = matrix / whole / fine, (offset - region[:2]) / whole
    return np.asarray(
        part.transform(
            (side * fine, side * fine),
            Image.Transform.AFFINE,
            (matrix[0, 0], matrix[0, 1], offset[0], matrix[1, 0], matrix[1, 1], offset[1]),
            Image.Resampling.BILINEAR,
        ).reduce(fine)
    )


def fit_similarity(points: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The turn and scale (2, 2) and move (2,) that bring points (N, 2) closest to targets (N, 2).

    Least squares without a reflection: Umeyama, 1991, equations 40 to 43. Raises ValueError if
    the points are one point or not finite.
    """
    points, targets = np.asarray(points, np.float64), np.asarray(targets, np.float64)
    if not np.isfinite(points).all():
        raise ValueError("the landmarks are not finite")
    middle, target_middle = points.mean(axis=0), targets.mean(axis=0)
    centred = points - middle
    variance = (centred**2).sum() / len(points)  # pixels squared
    if variance < 1e-6:
        raise ValueError("the landmarks are all one point")
    covariance = (targets - target_middle).T @ centred / len(points)
    left, strengths, right = np.linalg.svd(covariance)
    signs = np.array([1.0, np.sign(np.linalg.det(left) * np.linalg.det(right))])
    matrix = left @ np.diag(signs) @ right * (strengths @ signs) / variance
    return matrix, target_middle - matrix @ middle


def invert(matrix: np.ndarray, offset: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The way back of x -> matrix @ x + offset; raises ValueError if there is none."""
    if abs(np.linalg.det(matrix)) < 1e-12:
        raise ValueError("the landmarks do not resemble a face")
    inverse = np.linalg.inv(matrix)
    return inverse, -inverse @ offset


def find_region(
    matrix: np.ndarray, offset: np.ndarray, side: int, size: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Left, top, right, bottom in whole pixels of what the chip shows of a picture."""
    corners = np.array([[0, 0], [side, 0], [0, side], [side, side]]) @ matrix.T + offset
    left_top = np.floor(corners.min(axis=0) - 1).clip(0, size)
    right_bottom = np.ceil(corners.max(axis=0) + 1).clip(0, size)
    if (left_top >= right_bottom).any():
        raise ValueError("the landmarks lie outside the picture")
    return int(left_top[0]), int(left_top[1]), int(right_bottom[0]), int(right_bottom[1])
