"""What followers of a training see of it."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from tests.workers.segment.coloured import make_pictures
from tests.workers.segment.desk import make_segmenter
from workers.runtime.sheets import MARGIN
from workers.segment.batches import Pictures
from workers.segment.classes import make_palette
from workers.segment.metrics import VOID
from workers.segment.sample_pictures import (
    MOST_NAMES,
    SIDE,
    Samples,
    choose_places,
    draw_history,
    draw_progress,
    draw_samples,
    fit,
    list_classes,
)
from workers.segment.train_options import Epoch

STEP = SIDE + MARGIN
PALETTE = ((0, 0, 0), (255, 0, 0), (0, 0, 255))
NAMES = ("background", "red", "blue")


def test_at_most_four_pictures_are_chosen_from_all_parts_of_the_data():
    assert choose_places(make_pictures(3).pictures) == [0, 1, 2]
    assert choose_places(make_pictures(31).pictures) == [0, 10, 20, 30]


def test_pictures_whose_masks_show_no_class_are_not_chosen():
    shown = list(make_pictures(3).pictures)
    shown[1].pixels[:] = 0
    shown[1].pixels[VOID] = 64 * 64
    assert choose_places(shown) == [0, 2]


def test_picture_truth_and_answer_stand_side_by_side():
    picture = Image.new("RGB", (8, 4), "white")
    truth, answer = np.full((4, 8), 1, np.uint8), np.full((4, 8), 2, np.uint8)
    truth[:, :4] = VOID
    sheet = draw_samples([(picture, truth, answer)], PALETTE, NAMES)
    assert sheet.width == 3 * STEP + MARGIN
    row = 28 + MARGIN + SIDE // 4  # below the heads, in the middle of the picture
    colours = [sheet.getpixel((MARGIN + column * STEP + 300, row)) for column in range(3)]
    assert colours == [(255, 255, 255), (255, 89, 89), (89, 89, 255)]
    assert sheet.getpixel((MARGIN + STEP + 100, row)) == (255, 255, 255)  # void


def test_rows_are_taken_one_after_the_other():
    taken = []

    def rows():
        for place in range(3):
            taken.append(place)
            yield Image.new("RGB", (4, 9)), *[np.zeros((9, 4), np.uint8)] * 2

    height = draw_samples(rows(), PALETTE, NAMES).height
    assert (taken, height) == ([0, 1, 2], 28 + 3 * STEP + MARGIN + 34)


@pytest.mark.parametrize(("size", "shown"), [((8000, 5000), (480, 300)), ((1, 4000), (1, 480))])
def test_pictures_of_any_shape_are_made_as_large_as_they_are_shown(size, shown):
    assert fit(size) == shown


def test_only_the_largest_classes_are_named_in_their_order():
    pixels = np.zeros(256, np.int64)
    pixels[:3] = (5, 0, 7)
    pixels[VOID] = 100
    two = list_classes(pixels, PALETTE, NAMES)
    assert two.height == 2 * 28 + 6
    assert [two.getpixel((15, 15 + 28 * row)) for row in range(2)] == [(0, 0, 0), (0, 0, 255)]
    many = [f"class {number} of many" for number in range(VOID)]
    whole = list_classes(np.arange(256), make_palette(VOID), many)
    assert whole.height == 8 * 28 + 6
    assert whole.getpixel((15, 15)) == make_palette(VOID)[VOID - MOST_NAMES]


def test_odd_names_are_drawn():
    pixels = np.ones(256, np.int64)
    assert list_classes(pixels, PALETTE, ["$ _x^2", "红", "a" * 100]).height == 3 * 28 + 6


def test_the_mean_iou_is_drawn_once_somebody_looked():
    epochs = [Epoch(8, 2.0), Epoch(8, 1.0, 0.5)]
    assert draw_history(epochs[:1]).size == (880, 550)
    assert draw_history(epochs).size == (2 * 880, 550)


def test_progress_is_one_picture_of_curves_and_samples():
    network = make_segmenter().network
    samples = Samples(Pictures(make_pictures(2)))
    stops = []
    sizes = []
    for shown in (None, samples):
        drawn = draw_progress([Epoch(8, 2.0, 0.1)], shown, network, lambda: stops.append(1))
        with Image.open(BytesIO(drawn)) as picture:
            assert picture.format == "JPEG"
            sizes.append(picture.size)
    assert sizes[0] == (1760, 550)
    assert (sizes[1][0], sizes[1][1] > 550 + 2 * STEP) == (1760, True)
    assert len(stops) == 2  # it can be stopped before each picture of one tile


def test_what_the_network_answers_is_drawn_in_the_colours_of_the_classes():
    samples = Samples(Pictures(make_pictures(1)))
    sheet = np.asarray(samples.draw(make_segmenter().network)).astype(int)
    top = 28 + MARGIN
    picture, truth, answer = (
        sheet[top : top + SIDE, left : left + SIDE] for left in range(MARGIN, 3 * STEP, STEP)
    )
    assert (abs(truth - answer).max(axis=2) > 30).mean() < 0.15  # but at the borders
    assert (abs(picture - answer).max(axis=2) > 30).mean() > 0.8
