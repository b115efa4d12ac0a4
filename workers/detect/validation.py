"""How well a network finds the objects of labelled pictures."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from workers.detect.average_precision import Detections, Evaluation, evaluate
from workers.detect.batches import Squares
from workers.detect.process import Fit, stack
from workers.detect.suppression import Suppression, suppress
from workers.detect.yolo import Yolo
from workers.detect.yolo_config import YoloConfig

MOST_TOGETHER = 16  # pictures looked at
MOST_PIXELS = MOST_TOGETHER * 448**2  # of their squares
MOST_SCORES = 2**25  # of their boxes, for each class: 128 MB
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

    `watch` is called after every few pictures, and may raise. Raises ValueError if there is no
    object.
    """
    found = find_objects(network, squares, range(len(squares)), settings, watch)
    return evaluate([picture.labels for picture in squares.pictures], found, names)


def find_objects(
    network: Yolo,
    squares: Squares,
    places: Sequence[int],
    settings: Suppression,
    watch: Callable[[], None] = lambda: None,
) -> list[Detections]:
    """What the network sees on the pictures at these places, in their own pixels.

    `watch` is called after every few pictures.
    """
    found = []
    size = count_together(network.config.side, count_scores(network.config))
    for start in range(0, len(places), size):
        found.extend(_look(network, squares, places[start : start + size], settings))
        watch()
    return found


def count_together(side: int, scores: int) -> int:
    """How many pictures are looked at together, if each is a square and gets so many scores."""
    return max(1, min(MOST_TOGETHER, MOST_PIXELS // side**2, MOST_SCORES // scores))


def count_scores(config: YoloConfig) -> int:
    """What a YOLO makes of a picture: one for each box and class."""
    return config.grid**2 * config.boxes * config.classes


@torch.inference_mode()
def _look(
    network: Yolo, squares: Squares, places: Sequence[int], settings: Suppression
) -> list[Detections]:
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
