"""Frames of videos are shown as players show them: upright, unmirrored, with square pixels."""

from fractions import Fraction

import pytest
from PIL import Image, ImageOps

from tests.workers.detect.test_video import look
from tests.workers.detect.videos import draw_greys, make_video


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("turn", [0, 90, 180, -90])
def test_frames_are_upright(turn: int, mirrored: bool):
    """A corner is red; turned to the left and then mirrored, it goes round to the others."""
    picture = Image.new("RGB", (64, 48), "blue")
    picture.paste("red", (0, 0, 32, 24))
    [(_, upright)], _ = look(make_video([picture], turn=turn, mirrored=mirrored))
    expected = picture.rotate(turn, expand=True)
    if mirrored:
        expected = ImageOps.mirror(expected)
    assert upright.size == expected.size
    right, bottom = upright.width - 8, upright.height - 8
    for x, y in [(8, 8), (right, 8), (8, bottom), (right, bottom)]:
        assert upright.getpixel((x, y)) == pytest.approx(expected.getpixel((x, y)), abs=12)


@pytest.mark.parametrize("kind", ["mp4-h264", "mkv-h264", "mov-h264"])
def test_pixels_that_are_no_squares_become_so(kind: str):
    """As of television: a disk in it is round again."""
    aspect = Fraction(16, 11)
    [(_, wide)], _ = look(make_video(draw_greys(1, (176, 144)), kind, aspect=aspect))
    assert wide.size == (256, 144)


def test_pixels_are_squares_before_frames_are_turned():
    content = make_video(draw_greys(1, (176, 144)), turn=90, aspect=Fraction(1, 2))
    [(_, narrow)], _ = look(content)
    assert narrow.size == (144, 88)


def test_pixels_too_wide_for_the_limit_are_taken_for_squares():
    content = make_video(draw_greys(1, (64, 64)), "mkv-h264", aspect=Fraction(200, 1))
    [(_, picture)], _ = look(content, max_pixels=10**5)
    assert picture.size == (64, 64)
