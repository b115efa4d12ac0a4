"""Non-maximum suppression: of boxes that show the same object, the best is kept."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torchvision.ops import batched_nms, box_iou

# Boxes that compete, the best by score: suppression takes time with the square of their number,
# 31,360 of the largest grid six seconds.
MOST = 4096


@dataclass(frozen=True)
class Suppression:
    """Two thresholds that are easily confused, and what happens to an overlapping box."""

    score_threshold: float = 0.25  # a box that scores less is no detection
    iou_threshold: float = 0.45  # a box that overlaps a better one by more shows the same object
    max_detections: int = 100
    class_agnostic: bool = False  # True: boxes of different classes suppress each other too
    # Soft-NMS (Bodla et al., 2017): the score is lowered, by 1 - IoU above the threshold, or by
    # exp(-IoU^2 / sigma) at any overlap, and the box is dropped when it scores too little.
    decay: Literal["drop", "linear", "gaussian"] = "drop"
    sigma: float = 0.5


def suppress(boxes: Tensor, scores: Tensor, settings: Suppression) -> tuple[Tensor, Tensor, Tensor]:
    """(N, 4) xyxy, (N, C) -> the boxes (K, 4), scores (K,), classes (K,) to keep, best first.

    A box has the class it scores highest in. Boxes and scores that are not finite are dropped, and
    all but the MOST best.
    """
    best, classes = scores.max(dim=1)  # not a number if one of them is not
    good = (best >= settings.score_threshold) & best.isfinite() & boxes.isfinite().all(dim=1)
    boxes, best, classes = boxes[good], best[good], classes[good]
    if len(best) > MOST:  # of equal ones the first, in the order they had
        top = best.argsort(descending=True, stable=True)[:MOST].sort().values
        boxes, best, classes = boxes[top], best[top], classes[top]
    groups = torch.zeros_like(classes) if settings.class_agnostic else classes
    if settings.decay == "drop":
        kept = drop_overlapping(boxes, best, groups, settings.iou_threshold)
        kept = kept[: settings.max_detections]
        return boxes[kept], best[kept], classes[kept]
    kept, lowered = lower_overlapping(boxes, best, groups, settings)
    return boxes[kept], lowered, classes[kept]


def drop_overlapping(boxes: Tensor, scores: Tensor, groups: Tensor, iou_threshold: float) -> Tensor:
    """(N, 4), (N,), (N,) -> the rows (K,) to keep, best first; only one group's boxes compete."""
    if not len(boxes):
        return groups
    # torchvision moves every group to a place of its own: boxes left of 0 would reach into the
    # place before, and single precision would lose the fractions of a pixel
    apart = boxes.double() - boxes.min()
    kept: Tensor = batched_nms(apart, scores.double(), groups, iou_threshold)
    return kept


def lower_overlapping(
    boxes: Tensor, scores: Tensor, groups: Tensor, settings: Suppression
) -> tuple[Tensor, Tensor]:
    """(N, 4), (N,), (N,) -> the rows (K,) to keep, best first, and their scores after decay.

    Soft-NMS, figure 2 of the paper. No score ever rises, so the first K taken are the best K.
    """
    left = scores.clone()  # -1: taken, or below the threshold
    kept: list[int] = []
    lowered: list[Tensor] = []
    while len(kept) < settings.max_detections and len(left):
        top = int(left.argmax())
        if left[top] < settings.score_threshold or left[top] < 0:
            break
        kept.append(top)
        lowered.append(left[top].clone())
        overlap = box_iou(boxes[top : top + 1], boxes)[0].nan_to_num()  # two boxes without area
        rivals = torch.where(groups == groups[top], decay_factors(overlap, settings), 1.0)
        left = left * rivals
        left[kept] = -1
    return groups.new_tensor(kept), torch.stack([*lowered, left.new_zeros(())])[:-1]


def decay_factors(overlap: Tensor, settings: Suppression) -> Tensor:
    """IoU (N,) with the box just taken -> what the scores are multiplied by, (N,) in [0, 1]."""
    if settings.decay == "gaussian":
        return torch.exp(-overlap.square() / settings.sigma)
    return torch.where(overlap > settings.iou_threshold, 1 - overlap, 1.0)


def suppress_step_by_step(
    boxes: Tensor, scores: Tensor, score_threshold: float, iou_threshold: float
) -> Tensor:
    """Boxes (N, 4) of one class, their scores (N,) -> the rows (K,) to keep, best first.

    The definition, to read and to test `drop_overlapping` against, which is many times as fast.
    A score that is not a number is below every threshold.
    """
    # 1. Drop all boxes that score less than the score threshold.
    left = (scores >= score_threshold).nonzero().flatten()
    kept = []
    while len(left):
        # 2. Take the most probable box that is left (of equal ones the first).
        best = left[scores[left].argmax()]
        kept.append(best)
        # 3. Drop every other box whose IoU with it is more than the IoU threshold.
        left = left[left != best]
        overlap = box_iou(boxes[best].unsqueeze(0), boxes[left])[0]
        left = left[~(overlap > iou_threshold)]
        # 4. Repeat until no box is left.
    return torch.stack(kept) if kept else left
