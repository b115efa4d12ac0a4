"""Average precision as COCO measures it: over ten thresholds of overlap, and by size."""

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster

from workers.detect.average_precision import Detections, ignored, list_places
from workers.detect.labelled import Labels

logging.getLogger("faster_coco_eval").setLevel(logging.WARNING)  # it tells every step

T = TypeVar("T", Labels, Detections)


@dataclass(frozen=True)
class CocoPrecision:
    """Each in [0, 1], and NaN if there are no objects of that size (Lin et al., 2014)."""

    average: float  # the mean over overlaps (IoU) of 0.5, 0.55 ... 0.95
    at_50: float  # counted as found from an overlap of 0.5
    at_75: float
    small: float  # as `average`, for objects of less than 32 x 32 pixels
    medium: float
    large: float  # more than 96 x 96


FIGURES = len(fields(CocoPrecision))  # the first of those that the evaluation gives


def evaluate_coco(
    labels: Sequence[Labels], detections: Sequence[Detections], names: Sequence[str]
) -> CocoPrecision:
    """Compare what was found with what is there, picture by picture, with boxes as edges.

    The area under the curve is the mean at 101 recalls, and only the best 100 boxes of a class in
    a picture count. A box may find another object than the one it overlaps most, if that one is
    taken. Difficult objects are treated as COCO treats a crowd. Raises ValueError if labels and
    detections are not of as many pictures, or there is no picture.
    """
    if len(labels) != len(detections) or not labels:
        raise ValueError(f"{len(labels)} labelled pictures, {len(detections)} with detections.")
    places = list_places(labels, detections)
    rows = []
    # One class after the other: a table of all classes by all pictures may not fit into memory.
    for class_id in range(len(names)):
        own = [_keep(labels[place], class_id) for place in places[class_id]]
        if any(len(one) for one in own):
            found = [_keep(detections[place], class_id) for place in places[class_id]]
            rows.append(_evaluate_class(own, found))
    columns = np.array(rows).reshape(-1, FIGURES).T
    return CocoPrecision(*(_average(column) for column in columns))


def _keep(objects: T, class_id: int) -> T:
    return objects.keep(objects.classes == class_id)


def _evaluate_class(labels: Sequence[Labels], detections: Sequence[Detections]) -> list[float]:
    """The figures of one class, whose name does not matter; NaN where it has no objects."""
    truth = COCO(
        {
            "images": [{"id": picture} for picture in range(len(labels))],
            "categories": [{"id": 0, "name": ""}],
            "annotations": list(_annotations(labels)),
        }
    )
    evaluation = COCOeval_faster(truth, truth.loadRes(list(_results(detections))), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return [math.nan if value < 0 else float(value) for value in evaluation.stats[:FIGURES]]


def _average(values: np.ndarray) -> float:
    """The mean of those that are numbers; NaN if none is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else math.nan


def _annotations(labels: Sequence[Labels]) -> Iterator[dict[str, Any]]:
    number = 0
    for picture, one in enumerate(labels):
        rows = zip(one.boxes.tolist(), ignored(one).tolist(), strict=True)
        for (left, top, right, bottom), crowd in rows:
            number += 1  # from 1: 0 would mean no match
            yield {
                "id": number,
                "image_id": picture,
                "category_id": 0,
                "bbox": [left, top, right - left, bottom - top],
                "area": (right - left) * (bottom - top),
                "iscrowd": int(crowd),
            }


def _results(detections: Sequence[Detections]) -> Iterator[dict[str, Any]]:
    for picture, one in enumerate(detections):
        rows = zip(one.boxes.tolist(), one.scores.tolist(), strict=True)
        for (left, top, right, bottom), score in rows:
            yield {
                "image_id": picture,
                "category_id": 0,
                "bbox": [left, top, right - left, bottom - top],
                "score": score,
            }
