"""How well a network finds the objects of labelled pictures."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from workers.detect.average_precision import Detections, Evaluation, evaluate
from workers.detect.batches import Squares
from workers.detect.process import Fit, stack
from workers.detect.suppression import Suppression, suppress
from workers.detect.yolo import Yolo

BATCH = 16  # pictures looked at together
# Boxes that score less come after all others, and hardly move the average precision.
LEAST_SCORE = 0.05


def measure(
    network: Yolo,
    squares: Squares,
    names: Sequence[str],
    settings: Suppression,
    watch: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Average precision at an IoU of 0.5, in pixels of the pictures; `network` must be in eval.

    `watch` is called after every batch, and may raise. Raises ValueError if there is no object.
    """
    found = []
    for start in range(0, len(squares), BATCH):
        places = range(start, min(start + BATCH, len(squares)))
        found.extend(find_objects(network, squares, places, settings))
        watch()
    return evaluate([picture.labels for picture in squares.pictures], found, names)


@torch.inference_mode()
def find_objects(
    network: Yolo, squares: Squares, places: Sequence[int], settings: Suppression
) -> list[Detections]:
    """What the network sees on the pictures at these places, in their own pixels."""
    device = next(network.parameters()).device
    boxes, scores = network.predict(stack([squares.pixels(place) for place in places], device))
    return [
        pick(*answer, squares.fits[place], settings)
        for place, answer in zip(places, zip(boxes.cpu(), scores.cpu(), strict=True), strict=True)
    ]


def pick(boxes: Tensor, scores: Tensor, fit: Fit, settings: Suppression) -> Detections:
    """Boxes (N, 4) on the square, their scores (N, C) -> those to keep, in the picture."""
    kept, best, classes = suppress(boxes, scores, settings)
    return Detections(fit.to_picture(kept).numpy(), best.numpy(), classes.numpy())
