"""How well a network segments whole pictures."""

from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from workers.segment.batches import Pictures
from workers.segment.fcn import FCN
from workers.segment.metrics import Score, count_pixels, measure
from workers.segment.scores import score_tiles
from workers.segment.tiles import Tiling, choose_tiling, segment


def ignore() -> None:
    """Nobody watches."""


def find_classes(
    network: FCN,
    picture: Image.Image,
    tiling: Tiling | None = None,
    watch: Callable[[], None] = ignore,
) -> Tensor:
    """The class (H, W) uint8 of every pixel of an RGB picture; `network` must be in eval.

    Without a `tiling`, it is chosen by the number of classes. `watch` is called before each tile,
    and may raise.
    """

    def score(tile: Tensor) -> Tensor:
        watch()
        return score_tiles(network, tile)

    tiling = tiling or choose_tiling(network.config.classes)
    return segment(score, torch.from_numpy(np.array(picture)).permute(2, 0, 1), tiling)


def measure_network(network: FCN, pictures: Pictures, watch: Callable[[], None] = ignore) -> Score:
    """The measures over all pictures; `watch` is called before each tile, and may raise."""
    classes = len(pictures.data.classes)
    confusion = torch.zeros(classes, classes, dtype=torch.int64)
    for place in range(len(pictures)):
        picture, mask = pictures.open(place)
        found = find_classes(network, picture, watch=watch)
        confusion += count_pixels(torch.from_numpy(mask), found, classes)
    return measure(confusion, pictures.data.classes.names)
