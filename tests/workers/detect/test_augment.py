"""Augmented pictures: the boxes go where the pixels go, and chance is repeatable."""

import colorsys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from workers.detect.augment import (
    UNCHANGED,
    Augmentation,
    Change,
    change_light,
    draw_change,
    to_square,
)
from workers.detect.labelled import Labels
from workers.detect.process import GREY, Fit, letterbox

OBJECT = (60, 30, 120, 80)  # red on blue, of a picture of 200 x 100 pixels


def make_picture() -> tuple[Image.Image, Labels]:
    picture = Image.new("RGB", (200, 100), "blue")
    picture.paste("red", OBJECT)
    return picture, Labels.of([OBJECT], [3], difficult=[True])


def box_of_red(pixels: torch.Tensor) -> list[int]:
    """Left, top, right, bottom of what is more red than blue, in (3, side, side)."""
    rows, columns = torch.nonzero((pixels[0] > 0.5) & (pixels[2] < 0.5), as_tuple=True)
    return [int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1]


changes = st.builds(
    Change,
    scale=st.floats(0.8, 1.2),
    shift=st.tuples(st.floats(-0.2, 0.2), st.floats(-0.2, 0.2)),
    exposure=st.floats(0.9, 1.5),
    saturation=st.floats(0.9, 1.5),
    flip=st.booleans(),
)


@given(changes, st.booleans())
def test_boxes_go_where_the_pixels_go(change, letterboxed):
    pixels, labels = to_square(*make_picture(), 96, change, letterboxed)
    assert pixels.shape == (3, 96, 96)
    assert 0 <= pixels.min() <= pixels.max() <= 1
    assert labels.boxes.dtype == np.float32
    assert labels.boxes[0] == pytest.approx(box_of_red(pixels), abs=1.1)
    assert (labels.classes.tolist(), labels.difficult.tolist()) == ([3], [True])


def test_an_unchanged_picture_lies_as_for_inference():
    picture, labels = make_picture()
    pixels, moved = to_square(picture, labels, 96)
    fit = Fit.of(200, 100, 96)
    expected = torch.from_numpy(letterbox(picture, fit).copy()).permute(2, 0, 1) / 255
    assert torch.allclose(pixels, expected, atol=2 / 255)
    on_square = fit.to_square(torch.from_numpy(labels.boxes))
    assert moved.boxes == pytest.approx(on_square.numpy(), abs=1e-4)


def test_stretching_fills_the_square():
    pixels, labels = to_square(*make_picture(), 100, letterbox=False)
    assert labels.boxes.tolist() == [[30, 30, 60, 80]]
    assert pixels[:, 0, 0].tolist() == pytest.approx([0, 0, 1], abs=1e-6)


def test_what_a_shift_uncovers_is_grey():
    change = Change(shift=(0.2, 0.0))
    pixels, _ = to_square(*make_picture(), 100, change, letterbox=False)
    assert pixels[:, 50, :19] == pytest.approx(GREY[0] / 255, abs=1e-3)
    assert pixels[2, 50, 21] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(("right", "left_over"), [(0.5, 100 * 40), (0.6, 80 * 40), (0.7, None)])
def test_boxes_are_clipped_and_dropped_below_a_part_of_their_area(right, left_over):
    picture = Image.new("RGB", (200, 100))
    labels = Labels.of([(0, 20, 200, 60)], [0])
    change = Change(shift=(right, 0))
    _, moved = to_square(picture, labels, 200, change, letterbox=True, least_part=0.4)
    widths, heights = (moved.boxes[:, 2:] - moved.boxes[:, :2]).T
    assert (widths * heights).tolist() == ([] if left_over is None else [left_over])


def test_pictures_without_objects_and_of_one_row_are_fine():
    pixels, labels = to_square(Image.new("RGB", (300, 1)), Labels.of([], []), 32, Change(scale=1.2))
    assert pixels.shape == (3, 32, 32)
    assert labels.boxes.shape == (0, 4)


@given(
    st.tuples(*[st.integers(0, 255)] * 3),
    st.floats(1 / 1.5, 1.5),
    st.floats(1 / 1.5, 1.5),
)
def test_light_is_changed_as_in_hsv(color, exposure, saturation):
    shares = [value / 255 for value in color]
    hue, richness, value = colorsys.rgb_to_hsv(*shares)
    expected = colorsys.hsv_to_rgb(hue, min(1, richness * saturation), min(1, value * exposure))
    pixels = torch.tensor(shares).view(3, 1, 1)
    changed = change_light(pixels, exposure, saturation).flatten().tolist()
    assert changed == pytest.approx(expected, abs=1e-4)


def test_chance_depends_on_seed_step_and_picture_alone():
    options = Augmentation()
    places = [(seed, step, picture) for seed in (0, 1) for step in (0, 1) for picture in (0, 1)]
    first = [draw_change(options, *place) for place in places]
    assert [draw_change(options, *place) for place in reversed(places)] == first[::-1]
    assert len(set(first)) == len(places)


def test_changes_stay_in_their_range_and_fill_it():
    options = Augmentation()
    drawn = [draw_change(options, 0, step, 0) for step in range(2000)]
    ranges = {
        "scale": ([change.scale for change in drawn], 0.8, 1.2),
        "right": ([change.shift[0] for change in drawn], -0.2, 0.2),
        "down": ([change.shift[1] for change in drawn], -0.2, 0.2),
        "exposure": ([change.exposure for change in drawn], 1 / 1.5, 1.5),
        "saturation": ([change.saturation for change in drawn], 1 / 1.5, 1.5),
    }
    for values, low, high in ranges.values():
        assert low <= min(values) < low + 0.02
        assert high - 0.02 < max(values) <= high
    assert np.mean([change.flip for change in drawn]) == pytest.approx(0.5, abs=0.05)
    assert np.mean([change.exposure > 1 for change in drawn]) == pytest.approx(0.5, abs=0.05)


def test_without_amounts_nothing_changes():
    none = Augmentation(scale=0, shift=0, exposure=1, saturation=1, flip=0)
    assert draw_change(none, 0, 0, 0) == UNCHANGED
