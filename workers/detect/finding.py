"""From pictures to named boxes, with any of the detectors."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from workers.detect.fields import Looking
from workers.detect.objects_contract import Box
from workers.detect.process import Fit, fit_picture, letterbox, stack
from workers.detect.served import Served
from workers.detect.suppression import Suppression, suppress
from workers.runtime.near_names import find_places


@dataclass(frozen=True)
class Search:
    """What one job looks for."""

    settings: Suppression
    classes: Tensor | None  # (C,) bool: which ones; None: all


def plan_search(served: Served, asked: Looking) -> Search:
    """Raises InvalidInput for labels that the detector does not know."""
    names = {"score_threshold", "iou_threshold", "max_detections", "class_agnostic", "decay"}
    settings = replace(served.suppression, **asked.model_dump(include=names, exclude_none=True))
    return Search(settings, choose_classes(served.labels, asked.classes))


def choose_classes(known: Sequence[str], labels: Sequence[str] | None) -> Tensor | None:
    if labels is None:
        return None
    wanted = torch.zeros(len(known), dtype=torch.bool)
    wanted[find_places(labels, known)] = True
    return wanted


def put_on_square(served: Served, picture: Image.Image) -> tuple[np.ndarray, Fit]:
    """The picture as the network sees it, (side, side, 3) uint8, and where it lies there."""
    fit = fit_picture(picture.width, picture.height, served.side, served.bordered)
    return letterbox(picture, fit), fit


@torch.inference_mode()
def predict(served: Served, squares: Sequence[np.ndarray]) -> list[tuple[Tensor, Tensor]]:
    """Boxes (N, 4) on the square and scores (N, C) for each, on the CPU."""
    device = next(served.network.parameters()).device
    boxes, scores = served.network.predict(stack(squares, device))
    return list(zip(boxes.cpu(), scores.cpu(), strict=True))


def name_boxes(
    served: Served, search: Search, fit: Fit, boxes: Tensor, scores: Tensor
) -> list[Box]:
    """Candidates on the square, (N, 4) and (N, C) -> objects in the picture, the best first.

    What lies wholly on the grey border has no area left, and is dropped.
    """
    if search.classes is not None:
        scores = torch.where(search.classes, scores, -1.0)
    kept, best, classes = suppress(boxes, scores, search.settings)
    places = fit.to_picture(kept).tolist()
    rows = zip(places, best.tolist(), classes.tolist(), strict=True)
    return [
        Box(
            label=served.labels[class_id],
            class_id=class_id,
            score=round(score, 4),
            xyxy=[round(value, 2) for value in box],
        )
        for box, score, class_id in rows
        if box[2] > box[0] and box[3] > box[1]
    ]
