"""Brightness is taken from one picture and colours from another."""

import colorsys

import numpy as np
import pytest
from PIL import Image

from tests.workers.style.desk import draw_noise, draw_scene, draw_stripes
from workers.style.colours import keep_colours, match_brightness

LEVEL = 2.0  # of 255, that rounding may change


def find_brightness(image: Image.Image) -> np.ndarray:
    """By another's formula: Y of Python's YIQ has the same weights, in two digits."""
    pixels = np.asarray(image).reshape(-1, 3) / 255
    return np.array([colorsys.rgb_to_yiq(*pixel)[0] for pixel in pixels]) * 255


def test_the_brightness_is_all_that_is_taken_of_the_painted():
    painted, content = draw_noise(40, 30), draw_scene(40, 30)
    kept = keep_colours(painted, content)
    assert np.abs(find_brightness(kept) - find_brightness(painted)).max() < LEVEL


def test_colours_stay_where_there_is_room_for_them():
    content = Image.new("RGB", (4, 4), (120, 100, 140))
    kept = keep_colours(Image.new("RGB", (4, 4), (128, 128, 128)), content)
    _, *chroma = colorsys.rgb_to_yiq(*(value / 255 for value in content.getpixel((0, 0))))
    brightness, *found = colorsys.rgb_to_yiq(*(value / 255 for value in kept.getpixel((0, 0))))
    assert brightness == pytest.approx(128 / 255, abs=0.003)
    assert found == pytest.approx(chroma, abs=0.005)


def test_colours_fade_where_it_is_too_light_or_too_dark_for_them():
    content = Image.new("RGB", (1, 1), (255, 0, 0))
    for level in (0, 10, 245, 255):
        kept = keep_colours(Image.new("RGB", (1, 1), (level,) * 3), content)
        red, green, blue = kept.getpixel((0, 0))
        assert find_brightness(kept)[0] == pytest.approx(level, abs=LEVEL)
        assert red >= green == blue


def test_a_picture_of_its_own_colours_stays_as_it_is():
    image = draw_scene(33, 21)
    difference = np.asarray(keep_colours(image, image), int) - np.asarray(image)
    assert np.abs(difference).max() <= 1


def test_the_content_is_brought_to_the_size_of_the_painted():
    kept = keep_colours(draw_noise(20, 10), draw_scene(64, 48))
    assert (kept.size, kept.mode) == ((20, 10), "RGB")
    assert np.asarray(kept).std(axis=2).mean() > 10  # it has colours


def test_a_style_gets_the_brightness_of_the_content():
    content = Image.fromarray(np.asarray(draw_scene()) // 2)
    matched = np.asarray(match_brightness(draw_stripes(), content), float)
    wanted = np.asarray(content.convert("L"), float)
    assert (matched[..., 0] == matched[..., 2]).all()
    assert matched.mean() == pytest.approx(wanted.mean(), abs=2)
    assert matched.std() == pytest.approx(wanted.std(), rel=0.05)


def test_one_grey_has_no_contrast_to_raise():
    matched = match_brightness(Image.new("RGB", (3, 3), "white"), draw_scene())
    wanted = np.asarray(draw_scene().convert("L"), float).mean()
    assert np.asarray(matched).std() == 0
    assert np.asarray(matched).mean() == pytest.approx(wanted, abs=1)
