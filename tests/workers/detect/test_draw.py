"""Annotated pictures: boxes where they should be, labels inside, at any size."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from workers.detect.draw import annotate, class_color, load_font, overlap, place_labels
from workers.detect.objects_contract import Box
from workers.runtime.images import encode_jpeg


def box(*xyxy: float, class_id: int = 0, score: float = 0.9) -> Box:
    return Box(label="motorbike", class_id=class_id, score=score, xyxy=list(xyxy))


def test_a_box_is_outlined_and_its_inside_is_left_alone():
    picture = Image.new("RGB", (800, 600), "white")
    drawn = np.asarray(annotate(picture, [box(200, 200, 500, 400)]))
    color = class_color(0)
    assert (drawn[300, 200] == color).all()
    assert (drawn[300, 500] == color).all()
    assert (drawn[400, 350] == color).all()
    assert (drawn[250:390, 210:490] == 255).all()


def test_the_picture_itself_is_not_drawn_on():
    picture = Image.new("RGB", (800, 600), "white")
    annotate(picture, [box(200, 200, 500, 400)])
    assert picture.getextrema() == ((255, 255),) * 3


def test_a_small_picture_is_enlarged_and_its_boxes_with_it():
    drawn = annotate(Image.new("RGB", (100, 50), "white"), [box(20, 20, 60, 40)])
    assert drawn.size == (700, 350)
    assert drawn.getpixel((20 * 7, 30 * 7)) == class_color(0)


@pytest.mark.parametrize("size", [(1, 1), (1, 10_000), (10_000, 1), (64, 64), (5000, 3000)])
def test_any_size_can_be_drawn_on(size):
    drawn = annotate(Image.new("RGB", size, "white"), [box(0, 0, *size)])
    assert drawn.mode == "RGB"
    assert min(drawn.size) >= min(size)


@pytest.mark.parametrize("size", [(400_000, 100), (4_000_000, 10), (10, 4_000_000)])
def test_a_strip_as_long_as_a_picture_may_be_is_drawn_on_and_saved(size):
    drawn = annotate(Image.new("RGB", size, "white"), [box(0, 0, *size)])
    with Image.open(BytesIO(encode_jpeg(drawn))) as saved:
        assert max(saved.size) == 65_500
    assert drawn.getpixel((0, 0)) == class_color(0)


@pytest.mark.parametrize("corner", [(0, 0), (760, 0), (0, 560), (760, 560), (400, 300)])
def test_a_label_lies_inside_the_picture(corner):
    x, y = corner
    [place] = place_labels((800, 600), [box(x, y, x + 40, y + 40)], load_font(18), 1)
    assert place[0] >= 0
    assert place[1] >= 0
    assert place[2] <= 800
    assert place[3] <= 600


def test_labels_of_boxes_that_overlap_do_not_cover_each_other():
    boxes = [box(200, 200, 500, 400), box(205, 202, 505, 402), box(210, 204, 510, 404)]
    first, second, third = place_labels((800, 600), boxes, load_font(18), 1)
    assert not overlap(first, second)
    assert not overlap(first, third)
    assert not overlap(second, third)


def test_neighbouring_classes_have_colours_far_apart():
    for class_id in range(79):
        one, other = np.array(class_color(class_id)), np.array(class_color(class_id + 1))
        assert np.abs(one - other).sum() > 200
