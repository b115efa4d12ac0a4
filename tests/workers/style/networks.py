"""Networks of VGG's form and few channels, of weights drawn by chance."""

import torch

from workers.style.convolution import Convolution
from workers.style.features import Features, measure_means
from workers.style.fields import Network, Pooling
from workers.style.layers import DEPTHS
from workers.style.levels import draw_leaves, level

WIDTHS = (8, 8, 12, 16, 16)  # channels of each stage


def draw_convolutions(
    network: Network, seed: int = 0, widths: tuple[int, ...] = WIDTHS
) -> list[Convolution]:
    generator = torch.Generator().manual_seed(seed)
    drawn: list[Convolution] = []
    inputs = 3
    for width, depth in zip(widths, DEPTHS[network], strict=True):
        for _ in range(depth):
            weight = torch.randn(width, inputs, 3, 3, generator=generator)
            bias = torch.randn(width, generator=generator)
            drawn.append((weight * (2 / (9 * inputs)) ** 0.5, bias * 0.1))
            inputs = width
    return drawn


def draw_features(
    network: Network = "vgg16",
    pooling: Pooling = "max",
    seed: int = 0,
    widths: tuple[int, ...] = WIDTHS,
) -> Features:
    """All its layers are equally loud, as those of the pretrained ones."""
    drawn = draw_convolutions(network, seed, widths)
    means = measure_means(Features(network, pooling, drawn), [draw_leaves(0)])
    return Features(network, pooling, level(drawn, means))
