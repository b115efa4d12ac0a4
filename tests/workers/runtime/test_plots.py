"""Pictures of trainings are PNGs that show what they were given."""

from io import BytesIO

import numpy as np
from PIL import Image

from workers.runtime.plots import draw_curves, draw_matrix, draw_points


def read(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(png), formats=("PNG",)).convert("RGB"))


def test_a_curve_is_drawn_also_if_it_has_one_point():
    one = read(draw_curves({"loss": ([1], [2.0])}, "training", "step", "nats"))
    two = read(draw_curves({"loss": ([1, 2], [2.0, 1.0])}, "training", "step", "nats"))
    assert one.shape == two.shape
    assert (one != two).any()


def test_a_logarithmic_scale_shows_what_falls_by_powers_of_ten():
    """A line of ever smaller numbers is straight then, and nothing is said of zeros."""
    steps, falling = list(range(5)), [10.0**-power for power in range(5)]
    plain, other = (
        read(draw_curves({"loss": (steps, falling)}, "", "step", "", logarithmic=log))
        for log in (False, True)
    )
    assert (plain != other).any()
    zeros = {"loss": ([0, 1], [0.0, 0.0])}
    assert draw_curves(zeros, "", "", "", logarithmic=True) == draw_curves(zeros, "", "", "")
    mixed = {"loss": ([0, 1, 2], [0.0, 1.0, 10.0]), **zeros, "other": ([0, 1], [0.0, 0.0])}
    assert read(draw_curves(mixed, "", "", "", logarithmic=True)).std() > 0


def test_words_are_drawn_as_they_are():
    """A dollar sign begins no formula, and a script without a font raises no warning."""
    assert read(draw_points(["a$b$", "_c", "\u4e2d"], [0, 1, 2], [2, 1, 0], "words")).std() > 0


def find_sides(picture: np.ndarray) -> list[int]:
    """The columns of the frame: those that are dark from top to bottom."""
    dark = (picture < 100).all(axis=-1).mean(axis=0) > 0.8
    columns = np.flatnonzero(dark).tolist()
    assert columns
    return columns


def test_long_labels_are_cut_and_leave_the_points_their_room():
    """A label that took room would shrink the axes to nothing, and warn."""
    marks = range(20)
    short = read(draw_points(["a"] * 20, marks, marks, "words"))
    long = read(draw_points(["a" * 200] * 20, marks, marks, "words"))
    assert find_sides(long) == find_sides(short)
    same = draw_points(["a" * 30], [0], [0], "words")
    assert same == draw_points(["a" * 200], [0], [0], "words")
    assert same != draw_points(["a" * 24], [0], [0], "words")
    curve = ([1, 2], [2.0, 1.0])
    assert draw_curves({"a" * 200: curve}, "", "", "") == draw_curves({"a" * 30: curve}, "", "", "")


def test_a_matrix_is_as_large_as_its_labels_need():
    """Shares are shades; a name begins no formula."""
    few, many = (
        read(draw_matrix(np.eye(count), ["$a$"] * count, ["b_"] * count, "all", "x", "y"))
        for count in (2, 20)
    )
    assert (np.array(many.shape[:2]) > np.array(few.shape[:2]) + 500).all()
    assert (many < 120).any()
    light = read(draw_matrix(np.full((2, 2), 0.1), ["a", "b"], ["a", "b"], "all", "x", "y"))
    assert light.mean() > few.mean()
