"""Squares to learn from: other ones at every step, and the same for the same seed."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image

from tests.workers.style.desk import draw_noise, draw_scene
from tests.workers.style.small_trainings import make_contents
from workers.style.contents import Contents
from workers.style.windows import (
    Pictures,
    choose_rows,
    choose_size,
    count_bytes,
    cut,
    draw_windows,
)

DATA = make_contents(draw_scene(80, 60), draw_noise(50, 200), draw_noise(20, 20))


def test_all_pictures_come_once_before_one_comes_again():
    rows = [row for step in range(21) for row in choose_rows(7, 3, seed=0, step=step)]
    epochs = [rows[start : start + 7] for start in range(0, len(rows), 7)]
    assert all(sorted(one) == list(range(7)) for one in epochs)
    assert any(one != other for one, other in pairwise(epochs))
    assert sorted(choose_rows(2, 5, seed=0, step=0)) in ([0, 0, 0, 1, 1], [0, 0, 1, 1, 1])


def test_squares_are_cut_anew_but_the_same_for_the_same_seed():
    pictures = Pictures(DATA, window=32)

    def draw(seed: int, step: int) -> torch.Tensor:
        return draw_windows(pictures, [0, 1, 2], [0, 1, 2], seed, step)

    first = draw(0, 0)
    assert first.shape == (3, 3, 32, 32)
    assert first.is_contiguous(memory_format=torch.channels_last)
    assert 0 <= first.min() < first.max() <= 1
    assert torch.equal(first, draw(0, 0))
    assert not torch.equal(first, draw(0, 1))
    assert not torch.equal(first, draw(1, 0))
    # another process that has the second alone cuts the same
    assert torch.equal(draw_windows(pictures, [1], [1], 0, 0), first[1:2])


def test_some_squares_are_mirrored_and_some_are_not():
    bright = np.zeros((40, 40, 3), np.uint8)
    bright[:, :, 0] = np.linspace(0, 255, 40)
    picture = Image.fromarray(bright)
    rises = set()
    for seed in range(20):
        square = np.asarray(cut(picture, 16, np.random.default_rng(seed)))[0, :, 0].astype(int)
        rises.add(bool(square[-1] > square[0]))
    assert rises == {False, True}


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (300, 7), (31, 33)])
def test_pictures_that_are_smaller_are_enlarged(size):
    square = cut(Image.new("RGB", size, (10, 200, 30)), 32, np.random.default_rng(0))
    assert square.size == (32, 32)
    assert square.getcolors() == [(32 * 32, (10, 200, 30))]


def test_large_pictures_are_kept_no_larger_than_squares_need():
    large = replace(DATA.pictures[0], width=4000, height=3000)
    assert choose_size(large, window=192) == (512, 384)
    assert choose_size(DATA.pictures[0], window=192) == (80, 60)
    assert count_bytes(replace(DATA, pictures=(large, large)), 192) == 2 * 4 * 512 * 384


def test_pictures_are_read_once_if_they_fit_into_memory_and_else_again_and_again():
    reads: list[int] = []
    read = DATA.pictures[0].read

    def count() -> bytes:
        reads.append(1)
        return read()

    data = Contents((replace(DATA.pictures[0], read=count),))
    for most, expected in ((10**6, 1), (0, 3)):
        reads.clear()
        pictures = Pictures(data, 16, most)
        shown = [pictures.open(0) for _ in range(3)]
        assert (len(reads), shown[0].size) == (expected, (43, 32))


def test_what_is_decoded_is_told():
    told: list[tuple[int, int]] = []
    Pictures(DATA, 32, watch=lambda done, count: told.append((done, count)))
    assert told == [(0, 3), (1, 3), (2, 3)]
