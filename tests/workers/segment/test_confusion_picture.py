"""The picture of a confusion matrix shows what became of each class."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from workers.segment import confusion_picture
from workers.segment.confusion_picture import MOST, draw_confusion


@pytest.fixture
def drawn(monkeypatch) -> list[tuple]:
    """What is given to be drawn."""
    calls = []

    def draw(*given) -> bytes:
        calls.append(given)
        return b""

    monkeypatch.setattr(confusion_picture, "draw_matrix", draw)
    return calls


def test_rows_are_shares_of_the_truth_and_classes_nobody_saw_are_left_out(drawn):
    # of 10 pixels of sky 8 are found, 2 are taken for a bus; a car neither occurs nor is found
    confusion = np.array([[8, 0, 0, 2], [0, 5, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    draw_confusion(confusion, ("sky", "road", "car", "bus"))
    [(shares, rows, columns, title, *_)] = drawn
    assert (rows, columns) == (["sky", "road"], ["sky", "road", "bus"])
    assert shares.tolist() == [[0.8, 0, 0.2], [0, 1, 0]]
    assert "largest" not in title


def test_of_many_classes_the_largest_are_shown(drawn):
    sizes = np.arange(1, 256)
    draw_confusion(np.diag(sizes), [str(size) for size in sizes])
    [(shares, rows, columns, title, *_)] = drawn
    assert rows == columns == [str(size) for size in range(256 - MOST, 256)]
    assert np.array_equal(shares, np.eye(MOST))
    assert f"the largest {MOST} of 255 classes" in title


@pytest.mark.parametrize("classes", [1, 12, 255])
def test_it_is_a_picture_as_large_as_its_classes_need(classes):
    confusion = np.random.default_rng(0).integers(1, 99, (classes, classes))
    names = ["$" + "a" * 99, "sky\u5929"] * 128
    png = draw_confusion(confusion, names[:classes])
    picture = Image.open(BytesIO(png), formats=["PNG"])
    assert 300 < min(picture.size) <= max(picture.size) < 2000
    assert np.asarray(picture.convert("L")).min() < 50


def test_darker_is_more():
    """The two cells of a row, one of nearly all pixels: found by their shades."""
    few, many = (
        np.asarray(Image.open(BytesIO(draw_confusion(np.array(counts), ("a", "b")))).convert("RGB"))
        for counts in ([[50, 50], [50, 50]], [[95, 5], [5, 95]])
    )
    assert few.shape == many.shape
    dark = [((one[..., 0] < 60) & (one[..., 2] > 80)).sum() for one in (few, many)]
    assert dark[1] > 1000 > dark[0]
