"""Suppression against its definition, against torchvision, and against a soft one by hand."""

import math
import time

import pytest
import torch
from torchvision.ops import batched_nms, nms

from workers.detect.suppression import (
    MOST,
    Suppression,
    drop_overlapping,
    suppress,
    suppress_step_by_step,
)

THRESHOLDS = [0.0, 0.25, 0.3, 0.5, 0.7, 1.0]
TWINS = torch.tensor([[0.0, 0.0, 8.0, 8.0], [0.0, 0.0, 8.0, 4.0]])  # their IoU is exactly one half
NAN, INF = float("nan"), float("inf")


def make_boxes(generator, ties):
    """Up to 60 boxes and their scores; with ties many corners, scores and IoU are equal."""
    number = int(torch.randint(61, (), generator=generator))
    kind = {"generator": generator, "dtype": torch.float64}
    corners = torch.rand(number, 2, **kind) * (10 if ties else 80) - 5
    sizes = torch.rand(number, 2, **kind) * (6 if ties else 40) + 1
    scores = torch.rand(number, **kind)
    if ties:
        corners, sizes, scores = corners.floor(), sizes.floor(), (scores * 5).floor() / 5
    return torch.cat([corners, corners + sizes], dim=1), scores


@pytest.mark.parametrize("ties", [False, True])
def test_the_definition_equals_torchvision_in_thousands_of_cases(ties):
    generator = torch.Generator().manual_seed(5)
    for case in range(1500):
        boxes, scores = make_boxes(generator, ties)
        threshold = THRESHOLDS[case % len(THRESHOLDS)]
        expected = nms(boxes, scores, threshold)
        assert torch.equal(suppress_step_by_step(boxes, scores, 0.0, threshold), expected)


@pytest.mark.parametrize("ties", [False, True])
def test_by_class_it_is_the_definition_for_each_class(ties):
    generator = torch.Generator().manual_seed(6)
    for case in range(500):
        boxes, scores = make_boxes(generator, ties)
        groups = torch.randint(3, (len(boxes),), generator=generator)
        threshold = THRESHOLDS[case % len(THRESHOLDS)]
        kept = drop_overlapping(boxes, scores, groups, threshold)
        assert scores[kept].tolist() == sorted(scores[kept].tolist(), reverse=True)
        for group in range(3):
            rows = (groups == group).nonzero().flatten()
            steps = rows[suppress_step_by_step(boxes[rows], scores[rows], 0.0, threshold)]
            assert torch.equal(kept[groups[kept] == group], steps)


def test_by_class_it_equals_torchvision_right_of_zero():
    generator = torch.Generator().manual_seed(7)
    for _ in range(500):
        boxes, scores = make_boxes(generator, ties=False)
        groups = torch.randint(3, (len(boxes),), generator=generator)
        shifted = boxes + 5
        assert torch.equal(
            drop_overlapping(boxes, scores, groups, 0.5), batched_nms(shifted, scores, groups, 0.5)
        )


def test_boxes_left_of_zero_do_not_reach_into_another_class():
    boxes = torch.tensor([[0.0, 0.0, 100.0, 100.0], [-100.0, -100.0, -1.0, -1.0]])
    scores = torch.tensor([0.9, 0.8])
    assert drop_overlapping(boxes, scores, torch.tensor([0, 1]), 0.4).tolist() == [0, 1]


def test_an_overlap_of_exactly_the_threshold_is_kept():
    scores = torch.tensor([0.9, 0.8])
    assert suppress_step_by_step(TWINS, scores, 0.0, 0.5).tolist() == [0, 1]
    assert suppress_step_by_step(TWINS, scores, 0.0, 0.4999).tolist() == [0]


def test_a_score_below_the_threshold_or_no_number_is_dropped_at_once():
    boxes = TWINS[[0, 0, 0]]
    kept = suppress_step_by_step(boxes, torch.tensor([0.4, NAN, 0.6]), 0.5, 0.5)
    assert kept.tolist() == [2]


def test_nothing_is_left_of_no_boxes():
    empty = torch.empty(0, 4), torch.empty(0)
    assert suppress_step_by_step(*empty, 0.0, 0.5).tolist() == []
    for decay in ("drop", "linear", "gaussian"):
        found = suppress(torch.empty(0, 4), torch.empty(0, 3), Suppression(decay=decay))
        assert [part.shape for part in found] == [(0, 4), (0,), (0,)]


@pytest.mark.parametrize("decay", ["drop", "linear", "gaussian"])
def test_numbers_that_are_not_finite_neither_stay_nor_suppress(decay):
    boxes = torch.stack([TWINS[0], TWINS[0], torch.tensor([0.0, NAN, 8.0, 8.0]), TWINS[0]])
    boxes = torch.cat([boxes, torch.tensor([[0.0, 0.0, INF, 8.0]])])
    scores = torch.tensor([[0.9, NAN], [0.6, 0.1], [0.8, 0.1], [INF, 0.0], [0.7, 0.0]])
    kept, best, classes = suppress(boxes, scores, Suppression(decay=decay))
    assert kept.tolist() == [TWINS[0].tolist()]
    assert best.tolist() == pytest.approx([0.6])
    assert classes.tolist() == [0]


def test_different_classes_compete_only_if_asked_to():
    scores = torch.tensor([[0.9, 0.0], [0.0, 0.8]])
    boxes = TWINS[[0, 0]]
    assert suppress(boxes, scores, Suppression())[2].tolist() == [0, 1]
    assert suppress(boxes, scores, Suppression(class_agnostic=True))[2].tolist() == [0]


@pytest.mark.parametrize("decay", ["drop", "linear", "gaussian"])
def test_the_best_come_first_and_no_more_than_asked_for(decay):
    boxes = torch.tensor([[10.0 * i, 0.0, 10.0 * i + 5, 5.0] for i in range(4)])
    scores = torch.tensor([[0.5], [0.9], [0.3], [0.7]])
    settings = Suppression(max_detections=3, decay=decay)
    assert suppress(boxes, scores, settings)[1].tolist() == pytest.approx([0.9, 0.7, 0.5])


# Three boxes that score 0.9, 0.8 and 0.6: the first two are twins, the third is far from them.
@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        # 0.8 * (1 - 1/2), since 1/2 is more than 0.45
        (Suppression(decay="linear"), [0.9, 0.6, 0.4]),
        # 1/2 is not more than 1/2: nothing is lowered
        (Suppression(decay="linear", iou_threshold=0.5), [0.9, 0.8, 0.6]),
        # 0.8 * exp(-(1/2)^2 / 0.5)
        (Suppression(decay="gaussian"), [0.9, 0.6, 0.8 * math.exp(-0.5)]),
        # 0.4 is below the threshold: the box is dropped
        (Suppression(decay="linear", score_threshold=0.41), [0.9, 0.6]),
    ],
)
def test_soft_suppression_lowers_the_score_of_an_overlapping_box(settings, expected):
    boxes = torch.cat([TWINS, torch.tensor([[50.0, 50.0, 60.0, 60.0]])])
    scores = torch.tensor([[0.9], [0.8], [0.6]])
    assert suppress(boxes, scores, settings)[1].tolist() == pytest.approx(expected)


def test_soft_scores_are_lowered_by_every_better_box():
    # three equal boxes, IoU 1: exp(-2) of the second, twice that of the third
    scores = torch.tensor([[0.9], [0.8], [0.7]])
    settings = Suppression(score_threshold=0.001, decay="gaussian")
    found = suppress(TWINS[[0, 0, 0]], scores, settings)[1]
    assert found.tolist() == pytest.approx([0.9, 0.8 * math.exp(-2), 0.7 * math.exp(-4)])


def test_soft_scores_of_another_class_stay():
    scores = torch.tensor([[0.9, 0.0], [0.0, 0.8]])
    found = suppress(TWINS[[0, 0]], scores, Suppression(decay="linear"))[1]
    assert found.tolist() == pytest.approx([0.9, 0.8])


def test_two_points_at_one_place_are_no_error():
    points = torch.full((2, 4), 3.0)
    found = suppress(points, torch.tensor([[0.9], [0.8]]), Suppression(decay="gaussian"))
    assert found[1].tolist() == pytest.approx([0.9, 0.8])


@pytest.mark.parametrize("decay", ["drop", "linear", "gaussian"])
def test_of_too_many_boxes_the_best_compete(decay):
    """As many as the largest grid has: without a limit six seconds, and a minute for a batch."""
    generator = torch.Generator().manual_seed(8)
    corners = torch.rand(31_360, 2, generator=generator) * 896
    boxes = torch.cat([corners, corners + 40], dim=1)
    scores = (torch.rand(31_360, 2, generator=generator) * 500).floor() / 500  # many are equal
    settings = Suppression(0.0, 1.0, max_detections=1000, decay=decay)
    best = scores.amax(dim=1).argsort(descending=True, stable=True)[:MOST].sort().values
    began = time.monotonic()
    found = suppress(boxes, scores, settings)
    assert time.monotonic() - began < 3
    for part, same in zip(found, suppress(boxes[best], scores[best], settings), strict=True):
        assert torch.equal(part, same)
    assert len(found[0]) == 1000
