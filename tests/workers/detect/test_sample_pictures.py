"""What followers of a training see of it."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from tests.workers.detect.coloured import COLOURS, hold, make_pictures
from workers.detect.average_precision import Detections
from workers.detect.batches import Squares
from workers.detect.draw import READABLE
from workers.detect.labelled import Labels
from workers.detect.sample_pictures import (
    Samples,
    choose_places,
    draw_history,
    draw_progress,
    name_found,
)
from workers.detect.suppression import Suppression
from workers.detect.train_options import Epoch
from workers.detect.yolo import Yolo
from workers.detect.yolo_config import YoloConfig
from workers.runtime.sheets import MARGIN

SHY, BOLD = Suppression(score_threshold=1.0), Suppression(score_threshold=0.0, max_detections=3)
STEP = READABLE + MARGIN


def make_squares(count: int) -> Squares:
    return Squares(make_pictures(count).pictures, 64, bordered=False)


@pytest.fixture(scope="module")
def network() -> Yolo:
    return Yolo(YoloConfig("small", len(COLOURS), 64, 4)).eval()


def test_at_most_six_pictures_are_chosen_from_all_parts_of_the_data():
    assert choose_places(make_squares(4)) == [0, 1, 2, 3]
    assert choose_places(make_squares(31)) == [0, 6, 12, 18, 24, 30]


def test_pictures_without_an_object_are_not_chosen():
    shown = list(make_pictures(2).pictures)
    bare = hold("bare.png", Image.new("RGB", (64, 64)), Labels.of([], []))
    crowd = hold("crowd.png", bare.open(), Labels.of([(1, 1, 9, 9)], [0], crowd=[True]))
    assert choose_places(Squares([bare, shown[0], crowd, shown[1]], 64, False)) == [1, 3]


def test_boxes_are_scaled_with_the_picture_and_named():
    found = Detections(np.array([[1.0, 2, 3, 4]]), np.array([0.5]), np.array([1]))
    [box] = name_found(found, ["red", "blue"], 10.0)
    assert (box.label, box.score, box.xyxy) == ("blue", 0.5, [10, 20, 30, 40])


def test_what_is_labelled_is_outlined_in_white(network: Yolo):
    picture = hold("a.png", Image.new("RGB", (64, 32)), Labels.of([(8, 8, 24, 24)], [0]))
    sheet = Samples(Squares([picture], 64, False), ["red", "blue"]).draw(network, SHY)
    assert sheet.size == (STEP + MARGIN, READABLE // 2 + 2 * MARGIN)
    assert sheet.getpixel((MARGIN + 80, MARGIN + 160)) == (255, 255, 255)
    assert sheet.getpixel((MARGIN + 160, MARGIN + 160)) == (0, 0, 0)


def test_what_is_found_is_drawn(network: Yolo):
    squares = make_squares(4)
    shy, bold = (
        np.asarray(Samples(squares, ["$_{x}^2", "红"]).draw(network, settings))
        for settings in (SHY, BOLD)
    )
    assert shy.shape == bold.shape == (2 * STEP + MARGIN, 3 * STEP + MARGIN, 3)
    assert (shy != bold).any(axis=2).mean() > 0.002


def test_the_precision_is_drawn_once_somebody_looked():
    epochs = [Epoch({"object": 2.0}), Epoch({"object": 1.0}, 0.5)]
    assert draw_history(epochs[:1]).size == (880, 550)
    assert draw_history(epochs).size == (2 * 880, 550)


def test_progress_is_one_picture_of_curves_and_samples(network: Yolo):
    history = [Epoch({"object": 2.0}, 0.1)]
    samples = Samples(make_squares(1), list(COLOURS))
    sizes = []
    for shown in (None, samples):
        with Image.open(BytesIO(draw_progress(history, shown, network))) as drawn:
            assert drawn.format == "JPEG"
            sizes.append(drawn.size)
    assert sizes == [(1760, 550), (1760, 550 + STEP + MARGIN)]
