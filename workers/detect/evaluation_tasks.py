"""Answers the jobs that measure how well a detector finds what is labelled."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace

import numpy as np

from workers.detect.average_precision import (
    Curve,
    Detections,
    Evaluation,
    draw_precision_recall,
    ignored,
)
from workers.detect.average_precision import evaluate as compare
from workers.detect.coco_average_precision import evaluate_coco
from workers.detect.data import open_data
from workers.detect.finding import predict, put_on_square
from workers.detect.labelled import LabelledPicture, LabelledPictures
from workers.detect.loaded import DetectWorker
from workers.detect.served import Served
from workers.detect.suppression import Suppression
from workers.detect.training_contract import (
    ClassView,
    CocoView,
    EvaluateRequest,
    EvaluateResult,
)
from workers.detect.validation import count_scores, count_together, pick
from workers.detect.yolo import Yolo
from workers.runtime.answers import answer_each
from workers.runtime.near_names import tell_near
from workers.runtime.run import InvalidInput, JobError, Run, TooLarge

SURE = 0.5  # the score from which a detector is sure
MAX_BOXES = 500_000  # of all pictures; the COCO evaluation takes 1.6 kB for each
PIXELS_OF_BOX = 48  # of the square, at least, for each box of NanoDet and of YOLOv3-tiny


def evaluate(
    worker: DetectWorker, batch: Sequence[Run[EvaluateRequest]]
) -> list[EvaluateResult | JobError]:
    return answer_each(batch, lambda run: _evaluate(worker, run))


def _evaluate(worker: DetectWorker, run: Run[EvaluateRequest]) -> EvaluateResult:
    served = worker.detectors.open(run.tenant, run.request.model)
    with open_data(worker, run) as opened:
        data = choose_part(opened, run.request.part)
        check_labels(served, data)
        found = look_at_all(served, data, run)
    return measure(served, data, found, run)


def choose_part(data: LabelledPictures, part: str | None) -> LabelledPictures:
    """Raises InvalidInput if there is no such part, or it has no objects."""
    try:
        chosen = data if part is None else data.part(part)
    except ValueError as error:
        raise InvalidInput(str(error)) from error
    if all(ignored(picture.labels).all() for picture in chosen.pictures):
        raise InvalidInput(
            "There are no objects to find: label some that are neither difficult nor a crowd."
        )
    return chosen


def check_labels(served: Served, data: LabelledPictures) -> None:
    """Raises InvalidInput for labelled classes that the detector does not know."""
    odd = [name for name, count in data.count().items() if count and name not in served.labels]
    if not odd:
        return
    named = ", ".join(repr(name[:200]) for name in odd[:10])
    raise InvalidInput(
        f"{served.name} does not know these labels: {named}. Rename them to its own, or choose "
        f"another model. {tell_near(odd, served.labels)}"
    )


def look_at_all(
    served: Served, data: LabelledPictures, run: Run[EvaluateRequest]
) -> list[Detections]:
    """What the detector sees on each picture, a few in memory at a time.

    With the boxes that only the model's own threshold lets pass. Raises TooLarge.
    """
    request, own = run.request, served.suppression
    settings = replace(
        own,
        score_threshold=min(request.score_threshold, own.score_threshold),
        iou_threshold=own.iou_threshold if request.iou_threshold is None else request.iou_threshold,
        max_detections=request.max_detections,
    )
    places = _find_places(served.labels, data.names)
    size = count_together(served.side, _count_scores(served))
    pictures, found, boxes = data.pictures, list[Detections](), 0
    for start in range(0, len(pictures), size):
        for one in _look(served, pictures[start : start + size], settings):
            found.append(_keep_known(one, places))
            boxes += len(found[-1].boxes)
        if boxes > MAX_BOXES:
            raise TooLarge(
                f"More than {MAX_BOXES} boxes are found. Raise score_threshold, lower "
                "max_detections, or measure fewer pictures at once."
            )
        run.progress(len(found) / len(pictures), f"{len(found)} of {len(pictures)} pictures")
    return found


def _count_scores(served: Served) -> int:
    """What the network makes of a picture, for each box and class."""
    if isinstance(served.network, Yolo):
        return count_scores(served.network.config)
    return max(1, served.side**2 // PIXELS_OF_BOX * len(served.labels))


def _look(
    served: Served, pictures: Sequence[LabelledPicture], settings: Suppression
) -> Iterator[Detections]:
    squares, fits = zip(*(put_on_square(served, one.open()) for one in pictures), strict=True)
    for answer, fit in zip(predict(served, squares), fits, strict=True):
        yield pick(*answer, fit, settings)


def _find_places(labels: Sequence[str], names: Sequence[str]) -> np.ndarray:
    """(C,) the place of each label in the names; -1 for those that are not there."""
    there = {name: place for place, name in enumerate(names)}
    return np.array([there.get(label, -1) for label in labels])


def _keep_known(found: Detections, places: np.ndarray) -> Detections:
    """The model's classes as those of the data; boxes of its other classes are left out."""
    renamed = replace(found, classes=places[found.classes])
    return renamed.keep(renamed.classes >= 0)


def measure(
    served: Served,
    data: LabelledPictures,
    found: Sequence[Detections],
    run: Run[EvaluateRequest],
) -> EvaluateResult:
    """Each comparison may take minutes. Raises Cancelled between them."""
    request, own = run.request, served.suppression.score_threshold
    labels = [picture.labels for picture in data.pictures]

    def weigh(score: float) -> Evaluation:
        run.progress(1.0, "measuring")
        return compare(
            labels,
            drop_below(score, found),
            data.names,
            request.overlap,
            request.interpolation,
            request.inclusive,
        )

    evaluation, at_own = weigh(request.score_threshold), weigh(own)
    sure = weigh(max(SURE, request.score_threshold))
    run.raise_if_cancelled()
    counted = drop_below(request.score_threshold, found)
    coco = asdict(evaluate_coco(labels, counted, data.names))
    run.raise_if_cancelled()
    return EvaluateResult(
        model=served.name,
        pictures=len(labels),
        objects=sum(curve.objects for curve in evaluation.curves.values()),
        mean_average_precision=evaluation.mean,
        mean_of_sure=sure.mean,
        classes=describe(evaluation, at_own),
        coco=CocoView(**{name: None if math.isnan(one) else one for name, one in coco.items()}),
        own_threshold=own,
        precision_recall=run.save(draw_precision_recall(evaluation)),
    )


def drop_below(score: float, found: Sequence[Detections]) -> list[Detections]:
    """Only the boxes of this score or more; no better box was suppressed by those that go."""
    return [one.keep(one.scores >= score) for one in found]


def describe(evaluation: Evaluation, at_own: Evaluation) -> dict[str, ClassView]:
    """Each class; `at_own` counts only the boxes from the model's own threshold on."""
    return {
        name: _describe(curve, at_own.curves[name]) for name, curve in evaluation.curves.items()
    }


def _describe(curve: Curve, at_own: Curve) -> ClassView:
    any_box = len(at_own.recall) > 0
    return ClassView(
        average_precision=curve.average,
        objects=curve.objects,
        recall=float(at_own.recall[-1]) if any_box else 0.0,
        precision=float(at_own.precision[-1]) if any_box else None,
    )
