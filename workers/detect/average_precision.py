"""Average precision as Pascal VOC measures it: how many objects are found, how many boxes right."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from workers.detect.labelled import Labels
from workers.runtime.plots import draw_curves

Interpolation = Literal["all-point", "11-point"]  # of VOC 2010 and later; of VOC 2007
LINES = 20  # of a picture of curves; more cannot be told apart


@dataclass(frozen=True)
class Detections:
    """What a detector finds in one picture, in any order."""

    boxes: np.ndarray  # (N, 4) xyxy as the labels'
    scores: np.ndarray  # (N,)
    classes: np.ndarray  # (N,) int, places in the names

    def keep(self, rows: np.ndarray) -> "Detections":
        """Only these rows: a mask (N,), or places."""
        return Detections(self.boxes[rows], self.scores[rows], self.classes[rows])


@dataclass(frozen=True)
class Curve:
    """Precision and recall of one class if only its K best boxes count, K from 1 up."""

    recall: np.ndarray  # (K,) in [0, 1], rising
    precision: np.ndarray  # (K,) in [0, 1]
    scores: np.ndarray  # (K,) of the boxes, falling
    objects: int  # that can be found; 1 or more
    average: float  # the average precision, in [0, 1]


@dataclass(frozen=True)
class Evaluation:
    curves: Mapping[str, Curve]  # of each class that has objects to find

    @property
    def mean(self) -> float:
        """The mean average precision (mAP) over the classes that have objects, in [0, 1]."""
        return float(np.mean([curve.average for curve in self.curves.values()]))


def evaluate(
    labels: Sequence[Labels],
    detections: Sequence[Detections],
    names: Sequence[str],
    iou_threshold: float = 0.5,
    interpolation: Interpolation = "all-point",
    inclusive: bool = False,
) -> Evaluation:
    """Compare what was found with what is there, picture by picture (Everingham et al., 2010).

    As the VOC devkit does: the boxes of a class are taken from the best score down, of equal
    scores the one given first. A box is right if it overlaps the object that it overlaps most by
    `iou_threshold` or more and no better box has found that object; every further one is wrong.
    Boxes on objects that are difficult, or a crowd, are neither right nor wrong.

    `inclusive`: the boxes name their last pixel, as the devkit's do, and are a pixel wider than
    the difference of their edges. Labels hold edges, so it is False for them. Raises ValueError if
    there is nothing to find, or labels and detections are not of as many pictures.
    """
    if len(labels) != len(detections):
        raise ValueError(f"{len(labels)} labelled pictures, {len(detections)} with detections.")
    curves, places = {}, list_places(labels, detections)
    for class_id, name in enumerate(names):
        objects, scores, hits = 0, [np.empty(0)], [np.empty(0, bool)]
        for place in places[class_id]:
            truth, found = labels[place], detections[place]
            truth = truth.keep(truth.classes == class_id)
            found = found.keep(found.classes == class_id)
            kept, hit = match(truth, found.boxes, found.scores, iou_threshold, inclusive)
            objects += int((~ignored(truth)).sum())
            scores.append(found.scores[kept])
            hits.append(hit)
        if objects:
            order = np.argsort(-np.concatenate(scores), kind="stable")
            falling = np.concatenate(scores)[order]
            curves[name] = trace(np.concatenate(hits)[order], falling, objects, interpolation)
    if not curves:
        raise ValueError("There are no objects to find.")
    return Evaluation(curves)


def list_places(
    labels: Sequence[Labels], detections: Sequence[Detections]
) -> defaultdict[int, list[int]]:
    """By class, the places of the pictures on which it is, or is found: often few of many."""
    places: defaultdict[int, list[int]] = defaultdict(list)
    for place, (one, found) in enumerate(zip(labels, detections, strict=True)):
        for class_id in {*one.classes.tolist(), *found.classes.tolist()}:
            places[class_id].append(place)
    return places


def ignored(labels: Labels) -> np.ndarray:
    """(N,) bool: the objects that nobody has to find."""
    either: np.ndarray = labels.difficult | labels.crowd
    return either


def match(
    truth: Labels,
    boxes: np.ndarray,
    scores: np.ndarray,
    iou_threshold: float,
    inclusive: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (N, 4) and objects of one class and picture -> (which boxes count, which are right).

    The first is places (K,) in `boxes`, in their order, the second (K,) bool.
    """
    if not len(truth):
        return np.arange(len(boxes)), np.zeros(len(boxes), bool)
    overlaps = pairwise_iou(boxes, truth.boxes, inclusive)
    nearest = overlaps.argmax(axis=1)
    near = overlaps.max(axis=1) >= iou_threshold
    counts = ~(near & ignored(truth)[nearest])
    right, taken = np.zeros(len(boxes), bool), set[int]()
    for place in np.argsort(-scores, kind="stable"):
        if near[place] and counts[place] and nearest[place] not in taken:
            taken.add(int(nearest[place]))
            right[place] = True
    return np.flatnonzero(counts), right[counts]


def pairwise_iou(one: np.ndarray, other: np.ndarray, inclusive: bool = False) -> np.ndarray:
    """(N, 4), (M, 4) xyxy -> intersection over union (N, M) in [0, 1]; 0 for boxes without area."""
    one, other = one.astype(float), other.astype(float)
    extra = float(inclusive)  # pixels
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    shared = (high - low + extra).clip(min=0).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2] + extra).prod(axis=1) for boxes in (one, other)]
    union = areas[0][:, None] + areas[1][None] - shared
    iou: np.ndarray = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return iou


def trace(
    hits: np.ndarray, scores: np.ndarray, objects: int, interpolation: Interpolation
) -> Curve:
    """Right or wrong (K,), the best score first -> the curve of a class with so many objects."""
    found = np.cumsum(hits)
    recall = found / objects
    precision = found / np.arange(1, len(hits) + 1)
    average = average_at_eleven if interpolation == "11-point" else average_everywhere
    return Curve(recall, precision, scores, objects, average(recall, precision))


def choose_threshold(evaluation: Evaluation) -> float | None:
    """The score from which boxes of all classes together have the best F1; None without boxes.

    F1 is the harmonic mean of precision and recall: as few objects missed as boxes wrong.
    """
    curves = evaluation.curves.values()
    scores = np.unique(np.concatenate([curve.scores for curve in curves]))[::-1]
    if not len(scores):
        return None
    boxes, right = np.zeros(len(scores)), np.zeros(len(scores))
    for curve in curves:
        counts = np.searchsorted(-curve.scores, -scores, side="right")
        boxes += counts
        right += np.concatenate([[0.0], curve.recall * curve.objects])[counts]
    objects = sum(curve.objects for curve in curves)
    return float(scores[np.argmax(2 * right / (boxes + objects))])


def average_at_eleven(recall: np.ndarray, precision: np.ndarray) -> float:
    """The mean, over recalls of 0, 0.1 ... 1, of the best precision at that recall or more."""
    steps = np.arange(11) / 10
    best = [precision[recall >= step].max(initial=0) for step in steps]  # 0 where none is
    return float(np.mean(best))


def average_everywhere(recall: np.ndarray, precision: np.ndarray) -> float:
    """The area under the curve, where the precision is the best at that recall or more."""
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall, prepend=0) * envelope))


def draw_precision_recall(evaluation: Evaluation) -> bytes:
    """A PNG of a curve for each class, those with the most objects if there are more than LINES."""
    return draw_curves(
        dict(_lines(evaluation)),
        f"Precision and recall: mean average precision {evaluation.mean:.3f}",
        "Recall",
        "Precision",
    )


def _lines(evaluation: Evaluation) -> Iterator[tuple[str, tuple[list[float], list[float]]]]:
    ranked = sorted(evaluation.curves.items(), key=lambda item: -item[1].objects)
    for name, curve in ranked[:LINES]:
        yield f"{curve.average:.3f} {name}", (curve.recall.tolist(), curve.precision.tolist())
