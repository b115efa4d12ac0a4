"""The sheet that shows what three networks say of the same pictures."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.options import Options
from bench.segment_pictures import GAP, HEADING, choose, draw, look, run, save, score
from bench.segment_train import SMALL
from tests.workers.segment.coloured import CLASSES, make_pictures
from workers.segment.fcn_config import FcnConfig
from workers.segment.segmenter_file import Segmenter
from workers.segment.weights import make_network

HEIGHT, WIDTH = SMALL


def test_pictures_are_chosen_evenly() -> None:
    data = make_pictures(9)
    assert [one.path for one in choose(data, 3).pictures] == ["001.png", "004.png", "007.png"]
    assert choose(data, 9) == data


def test_a_picture_its_truth_and_every_answer_are_of_one_size() -> None:
    network = make_network(FcnConfig(3, "thin", 32, fc6_padding=1), seed=0).eval()
    segmenter = Segmenter(network, CLASSES.names, CLASSES.palette, 64)
    picture, masks = look(make_pictures(2), 1, [segmenter, segmenter])
    assert picture.size == (WIDTH, HEIGHT)
    assert [mask.shape for mask in masks] == [SMALL] * 3
    truth, *answers = masks
    assert set(np.unique(truth)) == {0, 1, 2}
    assert all((answer == 0).all() for answer in answers)  # its scores are all 0


def test_answers_are_scored_beside_the_truth() -> None:
    truth = np.array([[0, 1], [2, 255]], np.uint8)
    half = np.array([[0, 1], [1, 0]], np.uint8)
    assert score([truth, truth, half], CLASSES) == pytest.approx([1, 2 / 3])


def test_a_row_shows_the_picture_and_then_the_colours_of_each_mask() -> None:
    masks = [np.full(SMALL, number, np.uint8) for number in (0, 1, 2, 0)]
    examples = [(Image.new("RGB", (WIDTH, HEIGHT), shade), masks) for shade in ("white", "lime")]
    sheet = draw(examples, CLASSES)
    middles = [column * (WIDTH + GAP) + WIDTH // 2 for column in range(5)]
    shown = [sheet.getpixel((middle, HEADING + HEIGHT // 2)) for middle in middles]
    assert shown == [(255, 255, 255), *(CLASSES.palette[number] for number in (0, 1, 2, 0))]
    assert sheet.getpixel((middles[0], HEADING + GAP + HEIGHT * 3 // 2)) == (0, 255, 0)


def test_a_sheet_that_is_too_large_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "images" / "sheet.png"
    noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3), np.uint8)
    with pytest.raises(ValueError, match="too many"):
        save(Image.fromarray(noise), path)
    assert not path.exists()
    assert save(Image.new("RGB", (400, 400)), path) == path.stat().st_size


def test_without_the_data_it_says_what_it_needs() -> None:
    options = Options("segment_pictures", quick=True, seconds=1, repeats=1, only=(), data=None)
    with pytest.raises(SystemExit, match="--data"):
        run(options)
