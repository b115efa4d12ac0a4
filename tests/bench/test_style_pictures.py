"""Paintings are measured by their losses and their noise, and shown beside what they are of."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench.options import Options
from bench.style_pictures import GAP, SIDE, draw_sheet, judge, measure_noise, run


def make_row(start: float, end: float, noise: float = 1, seconds: float = 30) -> dict[str, Any]:
    return {"start style": start, "style loss": end, "noise": noise, "cpu s": seconds}


def test_noise_is_the_laplacian_of_the_grey_picture() -> None:
    dot = np.zeros((5, 5), np.uint8)
    dot[2, 2] = 90
    assert measure_noise(Image.fromarray(dot).convert("RGB")) == pytest.approx(90 * (4 + 4) / 9)
    slope = np.tile(np.arange(5, dtype=np.uint8) * 40, (5, 1))
    assert measure_noise(Image.fromarray(slope)) == 0


def test_every_style_has_to_halve_its_loss_in_a_minute() -> None:
    rough, smooth = make_row(1, 1, noise=8), make_row(1, 1, noise=2)
    halved, slow, less = judge([make_row(10, 4), make_row(10, 6, seconds=61), rough, smooth])
    assert halved.startswith("MISSED: in 1 of 2")
    assert slow.startswith("MISSED: at most 61 s")
    assert less.startswith("met: with a TV weight of 10 there is 0.25 times")
    verdicts = judge([make_row(10, 4), smooth, rough])
    assert [one.split(":")[0] for one in verdicts] == ["met", "met", "MISSED"]


def test_a_sheet_has_a_cell_for_every_picture_and_changes_none() -> None:
    colours = [["red", "lime"], ["blue", "white"]]
    rows = [[Image.new("RGB", (600, 300), one) for one in row] for row in colours]
    sheet = draw_sheet(rows)
    cell = SIDE + GAP
    assert sheet.size == (2 * cell, 2 * cell)
    assert sheet.getpixel((SIDE // 2, SIDE // 4)) == (255, 0, 0)
    assert sheet.getpixel((cell + SIDE // 2, SIDE // 4)) == (0, 255, 0)
    assert sheet.getpixel((SIDE // 2, cell + SIDE // 4)) == (0, 0, 255)
    assert rows[0][0].size == (600, 300)


def test_without_the_data_it_says_what_it_needs() -> None:
    options = Options("style_pictures", quick=True, seconds=1, repeats=1, only=(), data=None)
    with pytest.raises(SystemExit, match="--data"):
        run(options)
