"""What a painting is measured by: content, style and total variation, each per picture.

All are computed in float32 (float64 of float64), and give one number a picture, (N,).
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from workers.style.fields import Cost


def find_gram(features: Tensor, region: Tensor | None = None) -> Tensor:
    """Gram matrices (N, C, C) of feature maps (N, C, h, w): X X^T / (c h w), X of (c, h w).

    With a `region` (N, 1, h, w) of weights in [0, 1], each place counts by its weight, and what
    divides is c times their sum, which counts as 1 at least.
    """
    gram: Tensor = _Gram.apply(_widen(features), region)
    return gram


class _Gram(torch.autograd.Function):
    """The gradient of X X^T takes one product rather than two: (G + G^T) X."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, region: Tensor | None) -> Tensor:
        channels = features.shape[1]
        flat = features.flatten(2)  # (N, C, h w): a view, also of channels_last
        if region is None:
            weights = None
            counted = features.new_full((1, 1, 1), flat.shape[2])
            gram = flat @ flat.mT
        else:
            weights = region.to(features.dtype).flatten(2)  # (N, 1, h w)
            counted = weights.sum(dim=2, keepdim=True).clamp(min=1)
            gram = (flat * weights) @ flat.mT
        ctx.save_for_backward(features, weights, counted)
        return gram / (channels * counted)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        features, weights, counted = ctx.saved_tensors
        both = (gradient + gradient.mT) / (features.shape[1] * counted)
        # (N, h w, C), so that the product of channels_last maps is channels_last
        found = features.flatten(2).mT @ both
        if weights is not None:
            found *= weights.mT
        return found.mT.view_as(features), None


def measure_content(found: Tensor, wanted: Tensor) -> Tensor:
    """Mean of squared differences of feature maps (N, C, h, w)."""
    return (_widen(found) - _widen(wanted)).square().mean(dim=(1, 2, 3))


def measure_style(gram: Tensor, wanted: Tensor, cost: Cost) -> Tensor:
    """How far Gram matrices (N, C, C), as `find_gram` gives them, are from those wanted.

    d2l: the mean of squared differences, as Dive into Deep Learning has it. ng: as Ng's course
    has it, of Grams that nothing divides: their squared distance / (2 h w c)^2, which is c^2 / 4
    times the first.
    """
    found = (gram - wanted).square().mean(dim=(1, 2))
    return found if cost == "d2l" else found * (gram.shape[1] ** 2 / 4)


def measure_tv(picture: Tensor) -> Tensor:
    """Total variation of pictures (N, 3, H, W): half the mean step down plus that to the right.

    Of a picture one pixel high, or wide, there is no step that way: it counts as 0.
    """
    zero = picture.new_zeros(len(picture))
    down, right = picture.diff(dim=2).abs(), picture.diff(dim=3).abs()
    steps = [one.mean(dim=(1, 2, 3)) if one.numel() else zero for one in (down, right)]
    return (steps[0] + steps[1]) / 2


def _widen(features: Tensor) -> Tensor:
    """In at least 32 bits: sums of products overflow what bfloat16 can tell apart."""
    return features if features.dtype == torch.float64 else features.float()
