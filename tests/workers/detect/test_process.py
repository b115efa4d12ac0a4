"""The way of a picture to the network's square, and of boxes back."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision.ops import box_iou

from workers.detect.process import GREY, Fit, letterbox, stack
from workers.detect.suppression import Suppression, suppress

SIDE = 416
sizes = st.integers(1, 12_000)


def test_a_wide_picture_touches_left_and_right_and_is_centred():
    fit = Fit.of(600, 400, SIDE)
    assert fit.inside == (416, 277)
    assert fit.corner == (0, 69)


def test_a_tall_picture_touches_top_and_bottom():
    fit = Fit.of(300, 900, SIDE)
    assert fit.inside == (139, 416)
    assert fit.corner == (138, 0)


def test_a_golden_box_maps_both_ways():
    fit = Fit.of(832, 416, SIDE)  # half as large, 104 rows of grey above
    square = fit.to_square(torch.tensor([[100.0, 50.0, 300.0, 250.0]]))
    assert square.tolist() == [[50.0, 129.0, 150.0, 229.0]]
    assert fit.to_picture(square).tolist() == [[100.0, 50.0, 300.0, 250.0]]


def test_boxes_are_cut_at_the_border_of_the_picture():
    fit = Fit.of(832, 416, SIDE)
    whole = fit.to_picture(torch.tensor([[-20.0, 0.0, 500.0, 416.0]]))
    assert whole.tolist() == [[0.0, 0.0, 832.0, 416.0]]


@given(width=sizes, height=sizes, data=st.data())
def test_a_box_survives_the_way_there_and_back(width, height, data):
    xs = sorted(data.draw(st.tuples(st.floats(0, width), st.floats(0, width))))
    ys = sorted(data.draw(st.tuples(st.floats(0, height), st.floats(0, height))))
    box = torch.tensor([[xs[0], ys[0], xs[1], ys[1]]], dtype=torch.float64)
    fit = Fit.of(width, height, SIDE)
    back = fit.to_picture(fit.to_square(box))
    assert torch.allclose(back, box, atol=1e-2 * max(1, max(width, height) / SIDE))


@given(width=sizes, height=sizes)
def test_the_picture_lies_inside_the_square_with_at_least_a_pixel(width, height):
    fit = Fit.of(width, height, SIDE)
    for length, start in zip(fit.inside, fit.corner, strict=True):
        assert 1 <= length <= SIDE
        assert 0 <= start <= SIDE - length
    assert SIDE in fit.inside


@pytest.mark.parametrize("size", [(1, 1), (1, 10_000), (10_000, 1), (416, 416), (417, 416)])
def test_any_shape_makes_a_square(size):
    square = letterbox(Image.new("RGB", size, "red"), Fit.of(*size, SIDE))
    assert square.shape == (SIDE, SIDE, 3)
    assert (square == (255, 0, 0)).all(axis=2).any()


def test_the_border_is_grey_and_the_picture_is_not_moved():
    square = letterbox(Image.new("RGB", (832, 416), "blue"), Fit.of(832, 416, SIDE))
    assert (square[:104] == GREY).all()
    assert (square[104:312] == (0, 0, 255)).all()
    assert (square[312:] == GREY).all()


def test_a_stack_is_a_batch_of_numbers_up_to_one():
    black, white = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)
    batch = stack([black, white], torch.device("cpu"))
    assert batch.shape == (2, 3, 4, 4)
    assert batch[0].max() == 0
    assert batch[1].min() == 1
    assert batch.is_contiguous(memory_format=torch.channels_last)


def choose(boxes, scores, score=0.25, iou=0.45, limit=100):
    return suppress(torch.tensor(boxes), torch.tensor(scores), Suppression(score, iou, limit))


TWINS = [[0.0, 0.0, 8.0, 8.0], [0.0, 0.0, 8.0, 4.0]]  # their IoU is exactly one half


def test_a_box_that_overlaps_by_exactly_the_threshold_stays():
    boxes, _, _ = choose(TWINS, [[0.9], [0.8]], iou=0.5)
    assert len(boxes) == 2


def test_a_box_that_overlaps_by_more_is_dropped():
    boxes, scores, _ = choose(TWINS, [[0.8], [0.9]], iou=0.4999)
    assert boxes.tolist() == [TWINS[1]]
    assert scores.tolist() == pytest.approx([0.9])


def test_boxes_of_different_classes_do_not_drop_each_other():
    _, _, classes = choose([TWINS[0]] * 2, [[0.9, 0.0], [0.0, 0.8]])
    assert classes.tolist() == [0, 1]


def test_a_score_of_exactly_the_threshold_is_kept_and_less_is_not():
    _, scores, _ = choose([[0.0, 0.0, 1.0, 1.0], [5.0, 5.0, 6.0, 6.0]], [[0.5], [0.4999]], 0.5)
    assert scores.tolist() == [0.5]


def test_a_box_gets_the_class_it_scores_highest_in():
    _, scores, classes = choose([TWINS[0]], [[0.3, 0.7, 0.4]])
    assert classes.tolist() == [1]
    assert scores.tolist() == pytest.approx([0.7])


def test_the_best_come_first_and_the_limit_cuts_the_rest():
    boxes = [[float(10 * i), 0.0, float(10 * i + 5), 5.0] for i in range(5)]
    _, scores, _ = choose(boxes, [[0.5], [0.9], [0.3], [0.7], [0.6]], limit=3)
    assert scores.tolist() == pytest.approx([0.9, 0.7, 0.6])


def test_no_candidates_give_no_boxes():
    boxes, scores, classes = choose([TWINS[0]], [[0.1]])
    assert (boxes.shape, scores.shape, classes.shape) == ((0, 4), (0,), (0,))


@given(seed=st.integers(0, 2**31), iou=st.sampled_from([0.0, 0.3, 0.45, 0.8, 1.0]))
def test_selection_equals_the_textbook_loop(seed, iou):
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(60, 2, generator=generator) * 80
    boxes = torch.cat([corners, corners + 5 + torch.rand(60, 2, generator=generator) * 40], 1)
    scores = torch.rand(60, 4, generator=generator)
    kept, best, classes = suppress(boxes, scores, Suppression(0.3, iou, 1000))
    expected = textbook(boxes, scores, 0.3, iou)
    assert torch.equal(kept, boxes[expected])
    assert torch.equal(best, scores[expected].max(1).values)
    assert torch.equal(classes, scores[expected].max(1).indices)


def textbook(boxes, scores, threshold, iou):
    """Take the best box left, drop those of its class that overlap it by more; repeat."""
    best, classes = scores.max(1)
    left = [i for i in best.argsort(descending=True).tolist() if best[i] >= threshold]
    overlaps = box_iou(boxes, boxes)
    kept = []
    while left:
        top = left.pop(0)
        kept.append(top)
        left = [i for i in left if classes[i] != classes[top] or overlaps[top, i] <= iou]
    return kept
