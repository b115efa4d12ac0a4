"""Batches of labelled pictures for training a detector."""

import numpy as np
import pytest
import torch
from PIL import Image

from tests.workers.detect.coloured import SIZE, hold, make_pictures
from workers.detect.augment import Augmentation
from workers.detect.batches import Squares, draw_batch, draw_order, draw_picture
from workers.detect.labelled import LabelledPicture, Labels
from workers.detect.yolo_config import YoloConfig
from workers.detect.yolo_grid import NOTHING
from workers.runtime.run import InvalidInput

CONFIG = YoloConfig("small", classes=2, side=64, grid=4)
STILL = Augmentation(scale=0, shift=0, exposure=1, saturation=1, flip=0)
WIDE = hold("wide.png", Image.new("RGB", (200, 100), "red"), Labels.of([(50, 25, 150, 75)], [1]))


def break_after(picture: LabelledPicture, reads: int) -> LabelledPicture:
    """The same, but its file is damaged once it was read so often."""
    content = [picture.read()] * reads
    path, size = picture.path, (picture.width, picture.height)
    read = lambda most: content.pop()[:most] if content else b"damaged"  # noqa: E731
    return LabelledPicture(path, *size, picture.labels, "", picture.digest, read)


def test_squares_are_stretched_or_lie_on_grey():
    stretched = Squares([WIDE], 64, bordered=False)
    assert (stretched.pixels(0) == (255, 0, 0)).all()
    assert stretched.labels(0).boxes.tolist() == [[16, 16, 48, 48]]
    bordered = Squares([WIDE], 64, bordered=True)
    assert bordered.pixels(0)[[0, 15, 16, 47, 48], 0, 0].tolist() == [128, 128, 255, 255, 128]
    assert bordered.labels(0).boxes.tolist() == [[16, 24, 48, 40]]


def test_pictures_are_decoded_once_where_they_fit_into_memory():
    square = 64 * 64 * 3  # bytes
    kept = Squares([break_after(WIDE, 1)], 64, bordered=False, max_kept=square)
    assert (kept.pixels(0) == kept.pixels(0)).all()
    assert (kept.pixels(0) == (255, 0, 0)).all()
    decoded = Squares([break_after(WIDE, 1)], 64, bordered=False, max_kept=square - 1)
    assert (decoded.pixels(0) == (255, 0, 0)).all()
    with pytest.raises(InvalidInput):
        decoded.pixels(0)


def test_who_waits_sees_each_picture_decoded_and_may_stop_it():
    seen: list[tuple[int, int]] = []
    Squares([WIDE, WIDE], 64, bordered=False, watch=lambda *place: seen.append(place))
    assert seen == [(0, 2), (1, 2)]


@pytest.mark.parametrize(("count", "batch"), [(12, 4), (10, 4), (3, 4), (1, 1)])
def test_every_picture_comes_once_before_any_comes_again(count, batch):
    order = draw_order(count, batch, seed=0, epoch=3)
    assert order.shape == (-(-count // batch), min(batch, count))
    assert sorted(order.flatten()[:count]) == list(range(count))
    assert order.max() < count


def test_the_order_depends_on_seed_and_epoch():
    orders = [tuple(draw_order(50, 50, *place).flatten()) for place in [(0, 0), (0, 1), (1, 0)]]
    assert len(set(orders)) == 3
    assert tuple(draw_order(50, 50, 0, 1).flatten()) == orders[1]


def test_a_batch_shows_the_objects_where_they_are():
    data = make_pictures(3)
    squares = Squares(data.pictures, SIZE, bordered=False)
    batch = draw_batch(squares, np.array([2, 0]), CONFIG, STILL, (0, 0))
    assert len(batch) == 2
    assert batch.pixels.shape == (2, 3, 64, 64)
    assert batch.pixels.is_contiguous(memory_format=torch.channels_last)
    expected = torch.from_numpy(squares.pixels(2).copy()).permute(2, 0, 1) / 255
    assert torch.allclose(batch.pixels[0], expected, atol=1e-6)
    for place, row in enumerate([2, 0]):
        labels = data.pictures[row].labels
        cells = ((labels.boxes[:, :2] + labels.boxes[:, 2:]) / 2 // 16).astype(int)
        found = batch.truth.classes[place, cells[:, 1], cells[:, 0]].tolist()
        assert found == labels.classes.tolist()
        assert (batch.truth.classes[place] != NOTHING).sum() == len(labels)


def test_what_happens_to_a_picture_does_not_depend_on_the_others():
    squares = Squares(make_pictures(4).pictures, SIZE, bordered=False)
    together = draw_batch(squares, np.array([0, 1, 2, 3]), CONFIG, Augmentation(), (5, 2))
    alone = draw_batch(squares, np.array([2]), CONFIG, Augmentation(), (5, 2))
    assert torch.equal(together.pixels[2], alone.pixels[0])
    assert torch.equal(together.truth.boxes[2], alone.truth.boxes[0])
    later = draw_batch(squares, np.array([2]), CONFIG, Augmentation(), (5, 3))
    assert not torch.equal(later.pixels[0], alone.pixels[0])


def test_objects_in_one_cell_take_turns_from_epoch_to_epoch():
    labels = Labels.of([(40, 20, 140, 70), (42, 22, 138, 68)], [0, 1])
    squares = Squares([hold("two.png", WIDE.open(), labels)], 64, bordered=False)
    seen = set()
    for epoch in range(20):
        truth = draw_batch(squares, np.array([0]), CONFIG, STILL, (0, epoch)).truth
        assert truth.lost == 1
        seen.add(int(truth.classes.max()))
    assert seen == {0, 1}


def test_objects_that_are_difficult_or_a_crowd_are_not_learned():
    boxes = [(0, 0, 40, 40), (60, 0, 100, 40), (120, 60, 160, 100)]
    labels = Labels.of(boxes, [0, 1, 1], [True, False, False], [False, False, True])
    squares = Squares([hold("some.png", WIDE.open(), labels)], 64, bordered=False)
    _, seen = draw_picture(squares, 0, STILL, (0, 0))
    assert seen.classes.tolist() == [1]
    assert len(squares.labels(0)) == 3
