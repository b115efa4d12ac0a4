"""Peaks of memory are read, judged, and drawn out to larger pictures."""

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench.segment_memory import CASES, DEFAULT, FULL, Case, judge, make_picture, read_memory


def make_row(way: str, more: float, width: int = 6000, height: int = 4000) -> dict[str, Any]:
    return {"way": way, "width": width, "height": height, "MB more": more}


def test_large_pictures_have_24_megapixels_and_all_of_them_one_shape() -> None:
    assert [case.size for case in CASES if not case.whole] == [(6000, 4000)] * 3
    for case in CASES:
        width, height = case.size
        assert width * height == pytest.approx(case.megapixels * 1e6, rel=0.01)
        assert width / height == pytest.approx(1.5, rel=0.01)


def test_the_photograph_has_the_size_of_its_case() -> None:
    case = Case("whole at once", 0.06)
    with Image.open(BytesIO(make_picture(case.size))) as picture:
        assert (picture.format, picture.size) == ("JPEG", (300, 200))


def test_the_peak_stays_when_the_memory_is_given_back() -> None:
    before = read_memory("VmRSS")
    held = np.ones(25_000_000)  # 200 MB
    during = read_memory("VmRSS")
    assert during - before == pytest.approx(200, abs=10)
    del held
    assert read_memory("VmRSS") - before < 10
    assert read_memory("VmHWM") > during - 10


def test_jobs_are_judged_each_by_its_own_target() -> None:
    default, full = judge([make_row(DEFAULT, 1000), make_row(FULL, 1501)])
    assert default == "met: default resolution, 1000 MB more; wanted 1000"
    assert full == "MISSED: its own resolution, 1501 MB more; wanted 1500"


def test_whole_pictures_are_drawn_out_to_24_megapixels() -> None:
    whole = [
        make_row("whole at once", 50 + 400 * side**2, 1000 * side, 1000 * side) for side in (1, 2)
    ]
    assert judge(whole) == ["whole at once: 400 MB a megapixel; 24 megapixels would take 9.7 GB"]
    assert judge(whole[:1]) == []
