"""How well a network finds objects, from its square back to the pictures."""

import numpy as np
import pytest
import torch
from PIL import Image

from tests.workers.detect.coloured import hold, make_pictures
from workers.detect.batches import Squares
from workers.detect.labelled import Labels
from workers.detect.process import Fit
from workers.detect.suppression import Suppression
from workers.detect.validation import (
    MOST_SCORES,
    MOST_TOGETHER,
    count_scores,
    count_together,
    find_objects,
    measure,
    pick,
)
from workers.detect.yolo import Yolo
from workers.detect.yolo_config import YoloConfig
from workers.detect.yolo_grid import encode

CONFIG = YoloConfig("small", classes=2, side=64, grid=4)
ANY = Suppression(score_threshold=0.05)


class Knowing(Yolo):
    """Gives the right answers for the pictures of a data set, in their order."""

    def __init__(self, squares: Squares) -> None:
        super().__init__(CONFIG)
        self.labels = [squares.labels(place) for place in range(len(squares))]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        now, self.labels = self.labels[: len(x)], self.labels[len(x) :]
        boxes = [torch.from_numpy(one.boxes) for one in now]
        truth = encode(boxes, [torch.from_numpy(one.classes) for one in now], CONFIG)
        taken = (truth.classes >= 0).unsqueeze(-1)
        own = torch.cat([truth.boxes[..., :2], truth.boxes[..., 2:].sqrt(), taken], dim=-1)
        other = torch.zeros_like(own)
        classes = torch.nn.functional.one_hot(truth.classes.clamp(min=0), CONFIG.classes)
        return torch.cat([own, other, classes], dim=-1)


def make_wide(count: int) -> list:
    chance = np.random.default_rng(0)
    made = []
    for number in range(count):
        left, top = chance.integers(0, 100), chance.integers(0, 50)
        labels = Labels.of([(left, top, left + 90, top + 45)], [number % 2])
        made.append(hold(f"{number}.png", Image.new("RGB", (200, 100), "red"), labels))
    return made


@pytest.mark.parametrize("bordered", [False, True])
def test_a_network_that_knows_all_finds_all_in_the_pictures_own_pixels(bordered):
    squares = Squares(make_wide(MOST_TOGETHER + 3), 64, bordered)
    found = find_objects(Knowing(squares), squares, [0, 1], ANY)
    for place, one in enumerate(found):
        assert one.boxes == pytest.approx(squares.pictures[place].labels.boxes, abs=1e-2)
        assert one.scores.tolist() == [1]
    watched: list[int] = []
    result = measure(Knowing(squares), squares, ("a", "b"), ANY, lambda: watched.append(1))
    assert result.mean == 1
    assert len(watched) == 2  # times some pictures together


@pytest.mark.parametrize(
    ("config", "together"),
    [
        (CONFIG, 16),
        (YoloConfig("yolo-v1", 20, 448, 7), 16),
        (YoloConfig("small", 20, 896, 56), 4),
        (YoloConfig("small", 1000, 896, 56, boxes=10), 1),
        (YoloConfig("small", 1000, 224, 14, boxes=10), 16),
    ],
    ids=["tiny", "yolo-v1", "large", "classes", "coarse"],
)
def test_as_many_pictures_are_looked_at_together_as_fit_into_memory(config, together):
    assert count_together(config.side, count_scores(config)) == together
    assert together == 1 or together * count_scores(config) <= MOST_SCORES


def test_a_score_is_counted_for_each_box_and_class():
    boxes, scores = Yolo(CONFIG).eval().predict(torch.zeros(1, 3, 64, 64))
    assert len(boxes[0]) * 2 == scores.numel() == count_scores(CONFIG)


def test_answers_for_other_pictures_are_wrong():
    squares = Squares(make_pictures(6).pictures, 64, bordered=False)
    others = Squares(make_pictures(6, seed=1).pictures, 64, bordered=False)
    assert measure(Knowing(squares), squares, ("red", "blue"), ANY).mean == 1
    assert measure(Knowing(others), squares, ("red", "blue"), ANY).mean < 0.5


def test_boxes_end_at_the_border_of_the_picture():
    boxes = torch.tensor([[-10.0, 10, 30, 70], [0, 16, 64, 48]])
    scores = torch.tensor([[0.9, 0.1], [0.0, 0.04]])
    found = pick(boxes, scores, Fit.of(200, 100, 64), ANY)
    assert found.boxes == pytest.approx(np.array([[0, 0, 93.75, 100]]))
    assert found.scores.tolist() == pytest.approx([0.9])
    assert found.classes.tolist() == [0]


def test_without_an_object_there_is_nothing_to_measure():
    plain = hold("plain.png", Image.new("RGB", (64, 64)), Labels.of([], []))
    squares = Squares([plain], 64, bordered=False)
    with pytest.raises(ValueError, match="no objects"):
        measure(Knowing(squares), squares, ("a", "b"), ANY)
