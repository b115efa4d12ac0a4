"""From what a network finds on the square to named boxes in the picture, as a job asks for."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from PIL import Image

from tests.workers.detect.desk import make_detector
from workers.detect.fields import Looking
from workers.detect.finding import (
    choose_classes,
    name_boxes,
    plan_search,
    predict,
    put_on_square,
)
from workers.detect.process import Fit, fit_picture
from workers.detect.served import Served
from workers.detect.suppression import Suppression
from workers.runtime.run import InvalidInput

BOXES = torch.tensor([[10.0, 10, 50, 50], [10, 10, 50, 46], [12, 10, 50, 50]])
SCORES = torch.tensor([[0.9, 0.0], [0.8, 0.0], [0.0, 0.7]])  # two cats, then a dog, in one place
FIT = Fit.of(64, 64, 64)


@pytest.fixture(scope="module")
def served() -> Served:
    detector = make_detector("cat", "dog")
    return Served("mine@1", detector.network, 64, detector.names, True, Suppression(0.6))


def find(served: Served, fit: Fit = FIT, **asked: Any) -> list[tuple[str, float]]:
    search = plan_search(served, Looking(**asked))
    boxes = name_boxes(served, search, fit, BOXES, SCORES)
    return [(box.label, box.score) for box in boxes]


def test_of_boxes_of_one_class_in_one_place_the_best_is_named(served):
    assert find(served) == [("cat", 0.9), ("dog", 0.7)]
    assert find(served, iou_threshold=1) == [("cat", 0.9), ("cat", 0.8), ("dog", 0.7)]


def test_class_agnostic_boxes_of_other_classes_drop_each_other(served):
    assert find(served, class_agnostic=True) == [("cat", 0.9)]


def test_the_best_so_many_are_kept(served):
    assert find(served, max_detections=1) == [("cat", 0.9)]


def test_decay_lowers_what_overlaps_instead_of_dropping_it(served):
    overlap = 0.9  # of the cats: 36 of 40 rows
    found = dict(find(served, decay="linear", score_threshold=0.01)[1:])
    assert found == {"dog": 0.7, "cat": pytest.approx(0.8 * (1 - overlap), abs=1e-3)}
    gauss = dict(find(served, decay="gaussian", score_threshold=0.01)[1:])
    lowered = 0.8 * torch.exp(torch.tensor(-(overlap**2) / 0.5)).item()
    assert gauss["cat"] == pytest.approx(lowered, abs=1e-3)


def test_the_score_threshold_is_the_models_own_unless_a_job_says(served):
    assert find(replace(served, suppression=Suppression(0.75))) == [("cat", 0.9)]
    assert find(served, score_threshold=0.95) == []
    assert find(served, score_threshold=0) == [("cat", 0.9), ("dog", 0.7)]


def test_a_box_has_the_best_of_the_wanted_classes(served):
    assert find(served, classes=["dog"]) == [("dog", 0.7)]
    assert find(served, classes=["dog", "cat"]) == find(served)


def test_boxes_on_the_border_alone_are_dropped(served):
    flat = fit_picture(200, 20, 64, bordered=True)  # six rows of the square, in the middle
    on_grey = torch.tensor([[0.0, 0, 60, 20], [0, 20, 60, 40], [0, 50, 60, 64]])
    search = plan_search(served, Looking(iou_threshold=1))
    scores = torch.tensor([[0.9, 0], [0.8, 0], [0.7, 0]])
    [box] = name_boxes(served, search, flat, on_grey, scores)
    assert (box.score, box.xyxy[1], box.xyxy[3]) == (0.8, 0, 20)


def test_an_unknown_label_is_refused_with_close_ones_or_all():
    known = ["motorbike", "car", "cat"]
    assert choose_classes(known, None) is None
    assert choose_classes(known, ["cat"]).tolist() == [False, False, True]
    with pytest.raises(InvalidInput, match=r"no class 'cart'\. Did you mean cat, car\?"):
        choose_classes(known, ["cat", "cart"])
    with pytest.raises(InvalidInput, match=r"There are motorbike, car, cat\."):
        choose_classes(known, ["zzz"])


@pytest.mark.parametrize("bordered", [True, False])
def test_a_picture_is_seen_as_the_detector_was_trained(served, bordered):
    picture = Image.new("RGB", (100, 50), "red")
    square, fit = put_on_square(replace(served, bordered=bordered), picture)
    assert square.shape == (64, 64, 3)
    assert ((square == (255, 0, 0)).all(axis=2).mean() < 1) == bordered
    [(boxes, scores)] = predict(served, [square])
    assert (boxes.shape, scores.shape) == ((32, 4), (32, 2))
    assert fit.to_picture(torch.tensor([[0.0, 0, 64, 64]])).tolist() == [[0, 0, 100, 50]]
