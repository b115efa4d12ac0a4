"""Makes all layers of a VGG network equally loud: the mean activation of each ReLU becomes 1.

Gatys, Ecker and Bethge (2016) scale the weights so. A network of ReLUs and poolings stays the same
function but for a factor a layer, and one set of weights of losses suits all layers, and networks.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from workers.style.convolution import Convolution
from workers.style.fields import Pooling

# Of vgg16's ReLUs, by stages, on eight photographs whose longer side has 256 pixels.
VGG16_LEVELS: dict[Pooling, tuple[tuple[float, ...], ...]] = {
    "max": (
        (24.46, 125.8),
        (201.6, 223.4),
        (291.9, 307.4, 210.5),
        (172.3, 99.56, 25.56),
        (27.08, 11.97, 1.199),
    ),
    "average": (
        (24.46, 125.8),
        (158.9, 181.8),
        (167.2, 169.7, 112.5),
        (59.7, 31.07, 8.142),
        (4.827, 1.864, 0.2173),
    ),
}
SIDE = 224  # pixels of a picture that is made up
LEAVES, SMALLEST, LARGEST = 2000, 3.0, 200.0  # and its discs: how many, their radii in half pixels


def level(convolutions: Sequence[Convolution], means: Iterable[float]) -> list[Convolution]:
    """The same network, whose ReLUs give 1 in the mean where they gave `means`."""
    levelled: list[Convolution] = []
    before = 1.0
    for (weight, bias), mean in zip(convolutions, means, strict=True):
        levelled.append((weight * (before / mean), bias / mean))
        before = mean
    return levelled


def draw_leaves(seed: int) -> Tensor:
    """A picture with about the edges and colours of a photograph, (1, 3, 224, 224) in [0, 1].

    Dead leaves (Lee, Mumford and Huang, 2001): discs that hide each other, as many larger than a
    radius as the inverse of its square, of any brightness and dull colours.
    """
    chance = np.random.default_rng(seed)
    image = Image.new("RGB", (2 * SIDE, 2 * SIDE))
    draw = ImageDraw.Draw(image)
    share = chance.random(LEAVES)
    radii = 1 / np.sqrt(share / SMALLEST**2 + (1 - share) / LARGEST**2)
    colours = chance.uniform(20, 200, (LEAVES, 1)) + chance.normal(0, 20, (LEAVES, 3))
    for radius, (x, y), colour in zip(
        radii, chance.random((LEAVES, 2)) * 2 * SIDE, colours.clip(0, 255).astype(int), strict=True
    ):
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=tuple(colour.tolist()))
    image = image.resize((SIDE, SIDE), Image.Resampling.BOX)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] / 255
