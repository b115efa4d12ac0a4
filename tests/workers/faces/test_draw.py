"""Annotated pictures: boxes and points where the faces are, at any size."""

import numpy as np
import pytest
from PIL import Image, ImageColor

from workers.faces.draw import BOX, POINT, annotate
from workers.faces.find import Found

POINTS = np.array([[250, 250], [450, 250], [350, 300], [270, 350], [430, 350]], np.float32)


def face(*xyxy: float, points: np.ndarray = POINTS) -> Found:
    return Found(xyxy, 0.9, points)


def test_a_face_is_outlined_and_its_points_are_marked():
    drawn = annotate(Image.new("RGB", (800, 600), "white"), [face(200, 200, 500, 400)])
    assert drawn.getpixel((200, 300)) == ImageColor.getrgb(BOX)
    assert drawn.getpixel((500, 230)) == ImageColor.getrgb(BOX)
    for x, y in POINTS.astype(int).tolist():
        assert drawn.getpixel((x, y)) == ImageColor.getrgb(POINT)
    assert drawn.getpixel((350, 225)) == (255, 255, 255)
    assert drawn.getpixel((600, 500)) == (255, 255, 255)


def test_the_picture_itself_is_not_drawn_on():
    picture = Image.new("RGB", (800, 600), "white")
    annotate(picture, [face(200, 200, 500, 400)])
    assert picture.getextrema() == ((255, 255),) * 3


def test_a_small_picture_is_enlarged_and_its_faces_with_it():
    drawn = annotate(
        Image.new("RGB", (100, 50), "white"), [face(20, 20, 60, 40, points=POINTS / 10)]
    )
    assert drawn.size == (700, 350)
    assert drawn.getpixel((20 * 7, 30 * 7)) == ImageColor.getrgb(BOX)
    assert drawn.getpixel((25 * 7, 25 * 7)) == ImageColor.getrgb(POINT)


@pytest.mark.parametrize("size", [(1, 1), (1, 10_000), (10_000, 1), (64, 64), (5000, 3000)])
def test_any_size_can_be_drawn_on_and_points_outside_do_no_harm(size):
    drawn = annotate(Image.new("RGB", size), [face(0, 0, *size, points=POINTS - 300)])
    assert drawn.mode == "RGB"
    assert min(drawn.size) >= min(size)


def test_the_first_face_lies_on_top():
    faces = [face(100, 100, 300, 300, points=POINTS * 0), face(100, 100, 300, 300)]
    faces[1] = face(100, 100, 300, 300, points=np.full((5, 2), 100.0))
    drawn = annotate(Image.new("RGB", (800, 600), "white"), faces)
    assert drawn.getpixel((100, 100)) == ImageColor.getrgb(BOX)  # over the second one's points
