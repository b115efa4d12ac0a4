"""The truth that detectors are compared with, and the counts."""

from pathlib import Path

import numpy as np
import pytest

from bench.detect_models import CAR, CYCLIST, PEDESTRIAN, compare, label, list_pairs
from workers.detect.average_precision import Detections


@pytest.fixture
def mask() -> np.ndarray:
    """A large car, one cut off by a pole, two that touch at a corner; people and a cyclist."""
    mask = np.zeros((200, 300), np.uint8)
    mask[10:50, 20:60] = CAR
    mask[10:50, 80:90] = CAR
    mask[100:130, 100:130] = CAR
    mask[130:160, 130:160] = CAR
    mask[100:130, 200:211] = PEDESTRIAN
    mask[100:110, 220:230] = PEDESTRIAN
    mask[150:190, 200:240] = CYCLIST
    return mask


def test_a_component_is_a_box_and_small_ones_and_cyclists_are_difficult(mask: np.ndarray) -> None:
    labels = label(mask)
    rows = zip(labels.boxes.tolist(), labels.classes.tolist(), labels.difficult, strict=True)
    assert [(box, kind, bool(optional)) for box, kind, optional in rows] == [
        ([20, 10, 60, 50], 0, False),
        ([80, 10, 90, 50], 0, True),
        ([100, 100, 160, 160], 0, False),
        ([200, 100, 211, 130], 1, False),
        ([220, 100, 230, 110], 1, True),
        ([200, 150, 240, 190], 1, True),
    ]


def test_boxes_below_the_score_are_not_counted_but_average_precision_has_them(
    mask: np.ndarray,
) -> None:
    found = Detections(
        np.array([[20, 10, 60, 50], [0, 100, 20, 120], [100, 100, 160, 160], [200, 100, 211, 130]]),
        np.array([0.9, 0.6, 0.3, 0.5]),
        np.array([0, 0, 0, 1]),
    )
    low, high, *people = compare([label(mask)], [found])
    assert (low["from score"], high["from score"]) == (0.25, 0.4)
    assert low["AP50"] == high["AP50"] == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert (low["labelled"], low["recall"], low["false boxes"]) == (2, 1, 1)
    assert (high["labelled"], high["recall"], high["false boxes"]) == (2, 0.5, 1)
    assert [row["precision"] for row in (low, high)] == [pytest.approx(2 / 3), 0.5]
    assert all(row["AP75"] == row["precision"] == 1 for row in people)


def test_a_detector_that_finds_nothing_is_counted(mask: np.ndarray) -> None:
    nothing = Detections(np.empty((0, 4)), np.empty(0), np.empty(0, int))
    for row in compare([label(mask)], [nothing]):
        assert (row["AP50"], row["recall"], row["false boxes"]) == (0, 0, 0)
        assert row["precision"] is None


def test_pairs_are_those_of_both_parts_in_order(tmp_path: Path) -> None:
    (tmp_path / "train_pairs.txt").write_text("train/a.jpg masks/a.png\n")
    (tmp_path / "val_pairs.txt").write_text("val/b.jpg masks/b.png\n")
    assert list_pairs(tmp_path) == [
        (tmp_path / "train/a.jpg", tmp_path / "masks/a.png"),
        (tmp_path / "val/b.jpg", tmp_path / "masks/b.png"),
    ]
