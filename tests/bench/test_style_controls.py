"""The sheet of controls has a caption below every picture, and stays small."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.style_controls import (
    CAPTION,
    CASES,
    GAP,
    MAX_BYTES,
    Case,
    draw,
    draw_mask,
    draw_waves,
    read_photo,
    save,
)
from workers.style.recipe import make_plan
from workers.style.transfer_contract import TransferRequest


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.caption)
def test_every_case_can_be_asked_for(case: Case) -> None:
    request = TransferRequest(content="", styles=[""], size=240, steps=9, **case.fields)
    assert sum(one.steps for one in make_plan(request, 640, 427).scales) == 9


def test_pictures_are_in_rows_of_four_with_their_captions_below() -> None:
    colours = ("red", "lime", "blue", "white", "black")
    painted = [(one, Image.new("RGB", (120, 80), one)) for one in colours]
    sheet = draw(painted)
    assert sheet.size == (4 * 120 + 3 * GAP, 2 * (80 + CAPTION))
    assert sheet.getpixel((60, 40)) == (255, 0, 0)
    assert sheet.getpixel((2 * (120 + GAP) + 60, 40)) == (0, 0, 255)
    assert sheet.getpixel((60, 80 + CAPTION + 40)) == (0, 0, 0)
    captions = np.asarray(sheet)[80 : 80 + CAPTION, :120]
    assert captions.min() < 100


def test_the_mask_is_dark_at_the_left_and_light_at_the_right() -> None:
    mask = np.asarray(draw_mask((100, 10)))
    assert (mask[:, :40] == 0).all()
    assert (mask[:, 60:] == 255).all()
    assert (np.diff(mask.astype(int), axis=1) >= 0).all()


def test_what_is_painted_is_three_to_two_and_of_two_styles() -> None:
    photo = read_photo()
    assert photo.width * 2 == pytest.approx(photo.height * 3, abs=2)
    waves = np.asarray(draw_waves(64), int)
    assert waves.shape == (64, 64, 3)
    assert waves[..., 2].mean() > waves[..., 0].mean() + 20  # blue


def test_a_sheet_is_saved_as_small_as_it_has_to_be(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (360, 400, 3), np.uint8)
    path = tmp_path / "images" / "sheet.jpg"
    save(Image.fromarray(noise), path)
    assert path.stat().st_size <= MAX_BYTES
    with pytest.raises(ValueError, match="too many bytes"):
        save(Image.fromarray(np.tile(noise, (4, 4, 1))), path)
