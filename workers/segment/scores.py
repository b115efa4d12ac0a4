"""What a network says about pixels; the one way in which training and jobs ask it."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from workers.runtime.vgg16 import normalise
from workers.segment.fcn import FCN


def ignore(*_done: object) -> None:
    """Nobody watches."""


def score_pixels(network: nn.Module, pixels: Tensor) -> Tensor:
    """RGB (N, 3, h, w) in [0, 1] -> scores (N, C, h, w), of a network of any kind."""
    scores: Tensor = network(normalise(pixels) if isinstance(network, FCN) else pixels)
    return scores


def choose_best(scores: Tensor) -> Tensor:
    """The classes (h, w) uint8 of scores (C, h, w); any class where they are not numbers."""
    return scores.max(dim=0).indices.to(torch.uint8)  # faster than argmax


def join_bands(bands: Iterable[tuple[slice, slice, Tensor]], height: int, width: int) -> Tensor:
    """The classes (height, width) uint8 of bands of scores that cover a picture."""
    mask = torch.empty(height, width, dtype=torch.uint8)
    for rows, columns, scores in bands:
        mask[rows, columns] = choose_best(scores)
    return mask


def score_tiles(network: nn.Module, tiles: Tensor) -> Tensor:
    """RGB (N, 3, h, w) uint8, wherever it is -> float scores (N, C, h, w) on the network's device.

    No gradients are kept; `network` is in eval.
    """
    device = next(network.parameters()).device
    with torch.inference_mode():
        return score_pixels(network, tiles.to(device).float() / 255).float()
