"""Average precision as COCO measures it: over ten thresholds of overlap, and by size."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from faster_coco_eval import COCO, COCOeval_faster

from workers.detect.average_precision import Detections, ignored
from workers.detect.labelled import Labels


@dataclass(frozen=True)
class CocoPrecision:
    """Each in [0, 1], and NaN if there are no objects of that size (Lin et al., 2014)."""

    average: float  # the mean over overlaps (IoU) of 0.5, 0.55 ... 0.95
    at_50: float  # counted as found from an overlap of 0.5
    at_75: float
    small: float  # as `average`, for objects of less than 32 x 32 pixels
    medium: float
    large: float  # more than 96 x 96


def evaluate_coco(
    labels: Sequence[Labels], detections: Sequence[Detections], names: Sequence[str]
) -> CocoPrecision:
    """Compare what was found with what is there, picture by picture, with boxes as edges.

    The area under the curve is the mean at 101 recalls, and only the best 100 boxes of a picture
    count. A box may find another object than the one it overlaps most, if that one is taken.
    Difficult objects are treated as COCO treats a crowd. Raises ValueError if labels and
    detections are not of as many pictures, or there is no picture.
    """
    if len(labels) != len(detections) or not labels:
        raise ValueError(f"{len(labels)} labelled pictures, {len(detections)} with detections.")
    truth = COCO(
        {
            "images": [{"id": picture} for picture in range(len(labels))],
            "categories": [{"id": place, "name": name} for place, name in enumerate(names)],
            "annotations": list(_annotations(labels)),
        }
    )
    evaluation = COCOeval_faster(truth, truth.loadRes(list(_results(detections))), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    figures = [math.nan if value < 0 else float(value) for value in evaluation.stats[:6]]
    return CocoPrecision(*figures)


def _annotations(labels: Sequence[Labels]) -> Iterator[dict[str, Any]]:
    number = 0
    for picture, one in enumerate(labels):
        rows = zip(one.boxes.tolist(), one.classes.tolist(), ignored(one).tolist(), strict=True)
        for (left, top, right, bottom), class_id, crowd in rows:
            number += 1  # from 1: 0 would mean no match
            yield {
                "id": number,
                "image_id": picture,
                "category_id": class_id,
                "bbox": [left, top, right - left, bottom - top],
                "area": (right - left) * (bottom - top),
                "iscrowd": int(crowd),
            }


def _results(detections: Sequence[Detections]) -> Iterator[dict[str, Any]]:
    for picture, one in enumerate(detections):
        rows = zip(one.boxes.tolist(), one.scores.tolist(), one.classes.tolist(), strict=True)
        for (left, top, right, bottom), score, class_id in rows:
            yield {
                "image_id": picture,
                "category_id": class_id,
                "bbox": [left, top, right - left, bottom - top],
                "score": score,
            }
