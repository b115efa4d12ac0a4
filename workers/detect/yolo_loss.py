"""The loss of YOLOv1: a sum of squared errors, of which each predictor answers for its own."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from workers.detect.yolo_grid import NOTHING, GridTruth, split


@dataclass(frozen=True)
class LossSettings:
    """The weights of the paper (Redmon et al., 2016), section 2.2."""

    coord: float = 5.0  # of centres and sizes
    noobj: float = 0.5  # of the confidences of predictors without an object
    # What a responsible predictor's confidence should be: the IoU it reached, as the paper defines
    # confidence, or 1, with which a network is sure of its boxes before they fit.
    confidence: Literal["iou", "one"] = "iou"


@dataclass(frozen=True)
class LossTerms:
    """The five sums of the paper's equation 3, weighted, each the mean over the pictures."""

    centre: Tensor
    size: Tensor
    object: Tensor
    no_object: Tensor
    classes: Tensor

    @property
    def total(self) -> Tensor:
        return self.centre + self.size + self.object + self.no_object + self.classes


def yolo_loss(
    output: Tensor, truth: GridTruth, boxes: int, settings: LossSettings | None = None
) -> LossTerms:
    """(N, S, S, B * 5 + C) against N pictures -> five numbers of 0 or more.

    Every term is summed over cells and predictors and divided by N, not by the objects: a picture
    with many of them counts for more. A picture without any has only the no_object term.
    """
    settings = settings or LossSettings()
    pictures = len(output)
    occupied = truth.classes != NOTHING  # (N, S, S)
    predicted, confidences, classes = split(output[occupied], boxes)  # (K, B, 4), (K, B), (K, C)
    target = truth.boxes[occupied]  # (K, 4)
    chosen, overlap = choose_responsible(predicted.detach(), target, output.shape[1])
    rows = torch.arange(len(chosen), device=output.device)
    own, confidence = predicted[rows, chosen], confidences[rows, chosen]  # (K, 4), (K,)
    goal = overlap if settings.confidence == "iou" else torch.ones_like(overlap)
    one_hot = F.one_hot(truth.classes[occupied], classes.shape[1])
    # of all predictors, those with an object taken out again
    idle = split(output, boxes)[1].square().sum() - confidence.square().sum()
    return LossTerms(
        centre=settings.coord * (own[:, :2] - target[:, :2]).square().sum() / pictures,
        size=settings.coord * (own[:, 2:] - target[:, 2:].sqrt()).square().sum() / pictures,
        object=(confidence - goal).square().sum() / pictures,
        no_object=settings.noobj * idle / pictures,
        classes=(classes - one_hot).square().sum() / pictures,
    )


def choose_responsible(predicted: Tensor, target: Tensor, grid: int) -> tuple[Tensor, Tensor]:
    """x, y, √w, √h (K, B, 4), x, y, w, h (K, 4) -> the predictor (K,) of each object, its IoU (K,).

    It is the one with the highest IoU; if none overlaps, the one with the smallest root mean square
    error of x, y, w, h, as in Darknet. Of equal ones it is the first.
    """
    scale = predicted.new_tensor([grid, grid, 1, 1])  # x and y in cells -> shares of the picture
    guess = torch.cat([predicted[..., :2], predicted[..., 2:].square()], dim=-1) / scale
    wanted = (target / scale).unsqueeze(1)  # (K, 1, 4)
    overlaps = intersection_over_union(guess, wanted)  # (K, B)
    errors = (guess - wanted).square().sum(dim=-1)  # orders as its root does
    nearest = torch.where(overlaps.amax(dim=1) > 0, overlaps.argmax(dim=1), errors.argmin(dim=1))
    return nearest, overlaps.gather(1, nearest.unsqueeze(1)).squeeze(1)


def intersection_over_union(left: Tensor, right: Tensor) -> Tensor:
    """x, y of the centre, width and height (..., 4) twice, broadcast -> (...) in [0, 1].

    One of the two must have an area.
    """
    start = torch.maximum(left[..., :2] - left[..., 2:] / 2, right[..., :2] - right[..., 2:] / 2)
    end = torch.minimum(left[..., :2] + left[..., 2:] / 2, right[..., :2] + right[..., 2:] / 2)
    shared = (end - start).clamp(min=0).prod(dim=-1)
    return shared / (left[..., 2:].prod(dim=-1) + right[..., 2:].prod(dim=-1) - shared)
