"""COCO's figures, class by class: the same as of all classes at once, and told to nobody else."""

import logging

import numpy as np
import pytest
from faster_coco_eval import COCO, COCOeval_faster

from workers.detect.average_precision import Detections
from workers.detect.coco_average_precision import evaluate_coco
from workers.detect.labelled import Labels

NAMES = ["cat", "dog", "cow", "zebra"]  # nobody labels a zebra


def make_pictures(seed: int) -> tuple[list[Labels], list[Detections]]:
    """Forty pictures with objects of all sizes, some in a crowd, and boxes near most of them."""
    chance = np.random.default_rng(seed)
    labels, found = [], []
    for _ in range(40):
        count = int(chance.integers(1, 7))
        corner = chance.uniform(0, 300, (count, 2))
        objects = np.hstack([corner, corner + chance.uniform(10, 200, (count, 2))])
        classes = chance.integers(0, 3, count)
        labels.append(
            Labels.of(objects.tolist(), classes.tolist(), crowd=(chance.random(count) < 0.1))
        )
        boxes = objects + chance.normal(0, 5, objects.shape)
        seen = np.where(chance.random(count) < 0.8, classes, 3)
        found.append(Detections(boxes, chance.random(count), seen))
    return labels, found


def evaluate_at_once(labels: list[Labels], found: list[Detections]) -> list[float]:
    """The library's own table of all classes by all pictures."""
    annotations, results = [], []
    for picture, (one, other) in enumerate(zip(labels, found, strict=True)):
        for box, class_id, crowd in zip(one.boxes, one.classes, one.crowd, strict=True):
            annotations.append(
                {
                    **describe(picture, box, class_id),
                    "id": len(annotations) + 1,
                    "area": float(np.prod(box[2:] - box[:2])),
                    "iscrowd": int(crowd),
                }
            )
        for box, class_id, score in zip(other.boxes, other.classes, other.scores, strict=True):
            results.append({**describe(picture, box, class_id), "score": float(score)})
    truth = COCO(
        {
            "images": [{"id": picture} for picture in range(len(labels))],
            "categories": [{"id": place, "name": name} for place, name in enumerate(NAMES)],
            "annotations": annotations,
        }
    )
    evaluation = COCOeval_faster(truth, truth.loadRes(results), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return [float(value) for value in evaluation.stats[:6]]


def describe(picture: int, box: np.ndarray, class_id: int) -> dict:
    left, top, right, bottom = map(float, box)
    return {
        "image_id": picture,
        "category_id": int(class_id),
        "bbox": [left, top, right - left, bottom - top],
    }


@pytest.mark.parametrize("seed", range(3))
def test_class_by_class_gives_what_all_at_once_do(seed):
    labels, found = make_pictures(seed)
    figures = evaluate_coco(labels, found, NAMES)
    assert [
        figures.average,
        figures.at_50,
        figures.at_75,
        figures.small,
        figures.medium,
        figures.large,
    ] == pytest.approx(evaluate_at_once(labels, found))
    assert 0 < figures.average < figures.at_50 < 1


def test_without_an_object_that_counts_there_is_no_figure():
    crowd = Labels.of([[0, 0, 9, 9]], [0], crowd=[True])
    box = Detections(np.array([[0, 0, 9, 9.0]]), np.ones(1), np.zeros(1, int))
    for labels in (crowd, Labels.of([], [])):
        assert np.isnan(evaluate_coco([labels], [box], NAMES).average)


def test_nothing_is_printed_or_logged(caplog, capfd):
    with caplog.at_level(logging.INFO):
        evaluate_coco(*make_pictures(0), NAMES)
    assert (caplog.text, *capfd.readouterr()) == ("", "", "")


def test_there_must_be_pictures_and_detections_of_each():
    with pytest.raises(ValueError, match="0 labelled"):
        evaluate_coco([], [], NAMES)
    with pytest.raises(ValueError, match="1 labelled pictures, 0"):
        evaluate_coco([Labels.of([], [])], [], NAMES)
