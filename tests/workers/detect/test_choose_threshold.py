"""The score threshold of a trained detector."""

import numpy as np

from tests.workers.detect.test_average_precision import CLASSES, toy
from workers.detect.average_precision import Detections, choose_threshold, evaluate
from workers.detect.labelled import Labels


def test_the_chosen_threshold_has_the_best_f1_of_all():
    labels, detections = toy()
    found = evaluate(labels, detections, CLASSES)
    chosen = choose_threshold(found)
    objects = sum(len(one) for one in labels)

    def weigh(threshold: float) -> float:
        kept = [one.keep(one.scores >= threshold) for one in detections]
        curves = evaluate(labels, kept, CLASSES).curves.values()
        right = sum(
            round(curve.recall[-1] * curve.objects) for curve in curves if len(curve.recall)
        )
        return 2 * right / (objects + sum(len(one.scores) for one in kept))

    scores = np.concatenate([one.scores for one in detections])
    assert weigh(chosen) == max(weigh(score) for score in scores)


def test_without_boxes_there_is_no_threshold_to_choose():
    nothing = Detections(np.empty((0, 4)), np.empty(0), np.empty(0, int))
    assert choose_threshold(evaluate([Labels.of([[0, 0, 5, 5]], [0])], [nothing], ["cat"])) is None
