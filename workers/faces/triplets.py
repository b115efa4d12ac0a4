"""Triplets of anchor, positive and negative: how they are chosen, and what they cost."""

from typing import Literal

import torch
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.miners import (
    BatchHardMiner,
    TripletMarginMiner,
)
from torch import Tensor
from torch.nn import functional as F

Mining = Literal["random", "semi-hard", "batch-hard"]


def make_triplets(labels: Tensor, generator: torch.Generator) -> Tensor:
    """Rows (T, 3) of anchor, positive, negative, drawn at random from labels (N,).

    Each face is an anchor once; one without a positive or a negative is left out.
    """
    same = labels[:, None] == labels  # (N, N)
    positives = same.clone().fill_diagonal_(False)
    anchors = (positives.any(dim=1) & ~same.all(dim=1)).nonzero()  # (T, 1)
    if not len(anchors):
        return anchors.new_empty(0, 3)
    rows = anchors.flatten()
    positive = torch.multinomial(positives[rows].float(), 1, generator=generator)
    negative = torch.multinomial((~same[rows]).float(), 1, generator=generator)
    return torch.cat([anchors, positive, negative], dim=1)


def mine_triplets(
    points: Tensor, labels: Tensor, mining: Mining, margin: float, generator: torch.Generator
) -> Tensor:
    """Rows (T, 3) of anchor, positive, negative among points (B, d) with labels (B,).

    random: any. semi-hard: all with d(A,P) < d(A,N) <= d(A,P) + margin (FaceNet, section 3.2).
    batch-hard: for each anchor the farthest positive and the nearest negative (Hermans et al.,
    2017). T may be 0.
    """
    if mining == "random":
        return make_triplets(labels.cpu(), generator).to(labels.device)
    distance = LpDistance(normalize_embeddings=False, p=2, power=2)
    miner = (
        BatchHardMiner(distance=distance)
        if mining == "batch-hard"
        else TripletMarginMiner(margin, type_of_triplets="semihard", distance=distance)
    )
    return torch.stack(miner(points.detach(), labels), dim=1)


def triplet_losses(anchor: Tensor, positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    """L = max(d(A,P) - d(A,N) + margin, 0), d the squared distance; 3 x (T, d) -> (T,).

    FaceNet (Schroff et al., 2015), equation 2.
    """
    near = (anchor - positive).square().sum(dim=1)
    far = (anchor - negative).square().sum(dim=1)
    return F.relu(near - far + margin)


def contrastive_losses(points: Tensor, labels: Tensor, margin: float) -> Tensor:
    """Of each pair: |x1-x2|^2 if it is one person, else max(margin - |x1-x2|, 0)^2; (pairs,).

    Hadsell et al. (2006), equation 4, without its factor of 1/2.
    """
    left, right = torch.triu_indices(len(points), len(points), offset=1, device=points.device)
    squared = (points[left] - points[right]).square().sum(dim=1)
    length = squared.clamp(min=1e-12).sqrt()  # the slope of the root at 0 is infinite
    return torch.where(labels[left] == labels[right], squared, F.relu(margin - length).square())
