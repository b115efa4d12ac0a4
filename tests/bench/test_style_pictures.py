"""Paintings are measured by their losses and their noise, and shown beside what they are of."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageColor

from bench.options import Options
from bench.style_bare import SIDE, draw_sheet, measure_noise
from bench.style_pictures import judge, run
from shared.settings import Settings


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


def test_a_sheet_shows_every_picture_small_and_changes_none() -> None:
    colours = ["red", "lime", "blue", "yellow"]
    pictures = [Image.new("RGB", (600, 300), one) for one in colours]
    sheet = draw_sheet(pictures, columns=2)
    assert 2 * SIDE < sheet.width < 2.2 * SIDE
    quarters = [
        (sheet.width * (1 + 2 * x) // 4, sheet.height * (1 + 2 * y) // 4)
        for y in (0, 1)
        for x in (0, 1)
    ]
    assert [sheet.getpixel(one) for one in quarters] == [ImageColor.getrgb(one) for one in colours]
    assert pictures[0].size == (600, 300)


def test_total_variation_is_compared_where_its_published_weight_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []
    noise = np.random.default_rng(0).integers(0, 255, (30, 40, 3), np.uint8)

    class Recorder:
        def __init__(self, folder: Path) -> None:
            assert folder.is_dir()

        def transfer(self, *pictures: Any, **fields: Any) -> SimpleNamespace:
            assert len(pictures) == 2
            asked.append(fields)
            recipe = SimpleNamespace(tv_weight=fields.get("tv_weight"))
            start, losses = (SimpleNamespace(style=one, total=one) for one in (9.0, 1.0))
            return SimpleNamespace(picture="one", recipe=recipe, start=start, losses=losses)

        def open(self, blob_id: str) -> Image.Image:
            assert blob_id == "one"
            return Image.fromarray(noise)

    monkeypatch.setattr("bench.style_pictures.Styling", Recorder)
    monkeypatch.setattr("bench.style_pictures.read_settings", lambda: Settings(home=tmp_path))
    for name in ("golden_gate", "mosaic"):
        Image.fromarray(noise).save(tmp_path / f"{name}.jpg")
    run(Options("style_pictures", quick=True, seconds=1, repeats=1, only=(), data=tmp_path))
    published = {"preset": "d2l_v2", "steps": 150, "size": 96}
    compared = [{**published, "tv_weight": weight} for weight in (0, 10)]
    assert asked == [{"size": 96}, *compared]
    assert {file.name for file in (tmp_path / "bench").iterdir()} == {
        "style_pictures.png",
        "style_tv.png",
    }


def test_without_the_data_it_says_what_it_needs() -> None:
    options = Options("style_pictures", quick=True, seconds=1, repeats=1, only=(), data=None)
    with pytest.raises(SystemExit, match="--data"):
        run(options)
