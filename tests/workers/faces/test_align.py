"""Alignment: the fit against its definition, and pixels where they belong."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from workers.faces.align import DLIB_SIDE, DLIB_TEMPLATE, align, fit_similarity


def turn(points: np.ndarray, degrees: float, scale: float, move: tuple[float, float]) -> np.ndarray:
    angle = math.radians(degrees)
    matrix = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return points @ matrix.T * scale + move


def paint(landmarks: np.ndarray, size: tuple[int, int], radius: float) -> Image.Image:
    """A dark picture with a soft light on every landmark."""
    x, y = np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5
    light = sum(
        np.exp(-(((x - px) / radius) ** 2) - ((y[:, None] - py) / radius) ** 2)
        for px, py in landmarks.tolist()
    )
    return Image.fromarray((200 * light).round().astype(np.uint8)).convert("RGB")


def centre_of_light(chip: np.ndarray, x: float, y: float, reach: int) -> tuple[float, float]:
    """Of the one near a point, in the convention that pixel i covers i to i + 1."""
    left, top = round(x) - reach, round(y) - reach
    part = chip[top : top + 2 * reach, left : left + 2 * reach, 0].astype(float)
    rows, columns = np.indices(part.shape) + 0.5
    return left + (columns * part).sum() / part.sum(), top + (rows * part).sum() / part.sum()


def unlike(template: np.ndarray) -> np.ndarray:
    """Places (5,) on a line that no turn, scale or move brings nearer to the template (5, 2)."""
    return np.linalg.svd(np.column_stack([np.ones(5), template]).T)[2][-1]


@given(
    degrees=st.floats(-180, 180),
    scale=st.floats(0.05, 50),
    x=st.floats(-1e4, 1e4),
    y=st.floats(-1e4, 1e4),
)
def test_a_similarity_is_recovered_exactly(degrees, scale, x, y):
    moved = turn(DLIB_TEMPLATE.astype(np.float64), degrees, scale, (x, y))
    matrix, offset = fit_similarity(moved, DLIB_TEMPLATE)
    assert np.allclose(moved @ matrix.T + offset, DLIB_TEMPLATE, atol=1e-4)


def test_no_small_change_of_the_fit_comes_closer():
    points = DLIB_TEMPLATE + np.random.default_rng(0).normal(0, 8, (5, 2))
    matrix, offset = fit_similarity(points, DLIB_TEMPLATE)
    angle, scale = math.degrees(math.atan2(matrix[1, 0], matrix[0, 0])), math.hypot(*matrix[:, 0])

    def error(more: float, larger: float, move: tuple[float, float]) -> float:
        mapped = turn(points, angle + more, scale * larger, tuple(offset + move))
        return float(((mapped - DLIB_TEMPLATE) ** 2).sum())

    best = error(0, 1, (0, 0))
    worse = [error(d, 1, (0, 0)) for d in (-0.5, 0.5)]
    worse += [error(0, 1 + d, (0, 0)) for d in (-0.01, 0.01)]
    worse += [error(0, 1, move) for move in [(0.3, 0), (-0.3, 0), (0, 0.3), (0, -0.3)]]
    assert best < min(worse)


def test_a_mirrored_face_is_turned_but_never_mirrored():
    mirrored = DLIB_TEMPLATE * [-1, 1]
    matrix, _ = fit_similarity(mirrored, DLIB_TEMPLATE)
    assert np.linalg.det(matrix) > 0


@pytest.mark.parametrize("degrees", [0, 20, -75, 180])
@pytest.mark.parametrize("scale", [0.5, 1.0, 1.4, 2.5, 7.3])
def test_landmarks_land_on_the_template(degrees, scale):
    points = DLIB_TEMPLATE - DLIB_TEMPLATE.mean(axis=0)
    landmarks = turn(points, degrees, scale, (600, 500))
    chip = align(paint(landmarks, (1200, 1000), 4 * scale), landmarks, DLIB_TEMPLATE, DLIB_SIDE)
    assert chip.shape == (DLIB_SIDE, DLIB_SIDE, 3)
    assert chip.dtype == np.uint8
    for x, y in DLIB_TEMPLATE.tolist():
        assert centre_of_light(chip, x, y, 11) == pytest.approx((x, y), abs=0.1)


@pytest.mark.parametrize("scale", [1.3, 1.9, 2.0, 5.5, 16.0])
def test_detail_too_fine_for_the_chip_turns_grey_instead_of_into_a_pattern(scale):
    stripes = np.zeros((2600, 2600, 3), np.uint8)
    stripes[:, ::2] = 255
    landmarks = DLIB_TEMPLATE * scale + 30
    chip = align(Image.fromarray(stripes), landmarks, DLIB_TEMPLATE, DLIB_SIDE)
    assert np.abs(chip.astype(float) - 127.5).max() < 45  # sampled, it would be up to 127.5


def test_what_lies_outside_the_picture_is_black():
    landmarks = DLIB_TEMPLATE - [60, 0]  # the left 60 columns of the chip are outside
    chip = align(Image.new("RGB", (300, 300), "white"), landmarks, DLIB_TEMPLATE, DLIB_SIDE)
    assert (chip[:, :59] == 0).all()
    assert (chip[:, 61:] == 255).all()


def test_an_upright_face_of_the_right_size_is_cut_out_untouched():
    pixels = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    chip = align(
        Image.fromarray(pixels), DLIB_TEMPLATE + np.array([70, 90]), DLIB_TEMPLATE, DLIB_SIDE
    )
    assert np.abs(chip.astype(int) - pixels[90:240, 70:220]).max() <= 1


@pytest.mark.parametrize(
    ("landmarks", "message"),
    [
        (np.full((5, 2), 50.0), "one point"),
        (np.full((5, 2), np.nan), "not finite"),
        (DLIB_TEMPLATE + np.array([[np.inf, 0]] + [[0, 0]] * 4), "not finite"),
        (DLIB_TEMPLATE + 5000, "outside the picture"),
        (np.outer(unlike(DLIB_TEMPLATE), [50, 0]) + 100, "not resemble"),
    ],
)
def test_landmarks_that_fit_no_face_are_refused(landmarks, message):
    picture = Image.new("RGB", (200, 200))
    with pytest.raises(ValueError, match=message):
        align(picture, landmarks, DLIB_TEMPLATE, DLIB_SIDE)
