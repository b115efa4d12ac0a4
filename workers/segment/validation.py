"""How well a network segments whole pictures."""

from collections.abc import Callable

import torch
from PIL import Image
from torch import Tensor

from workers.segment.batches import Pictures
from workers.segment.fcn import FCN
from workers.segment.metrics import Score, count_pixels, measure
from workers.segment.restore import restore_bands
from workers.segment.scores import ignore, join_bands, score_tiles
from workers.segment.sizes import scale_size, take_pixels
from workers.segment.tiles import Tiling, choose_tiling, score_bands


def find_classes(
    network: FCN,
    picture: Image.Image,
    resolution: int | None = None,
    tiling: Tiling | None = None,
    watch: Callable[[], None] = ignore,
) -> Tensor:
    """The class (H, W) uint8 of every pixel of an RGB picture; `network` must be in eval.

    The network sees it as `scale_size` says, and the scores are brought back to its own size.
    Without a `tiling`, it is chosen by the number of classes. `watch` is called before each tile,
    and may raise.
    """

    def score(tile: Tensor) -> Tensor:
        watch()
        return score_tiles(network, tile)

    tiling = tiling or choose_tiling(network.config.classes)
    seen, own = scale_size(*picture.size, resolution), (picture.height, picture.width)
    bands = score_bands(score, take_pixels(picture, seen), tiling)
    return join_bands(restore_bands(bands, seen, own), *own)


def measure_network(
    network: FCN,
    pictures: Pictures,
    resolution: int | None = None,
    watch: Callable[[], None] = ignore,
) -> Score:
    """The measures over all pictures, at their own size.

    The network sees them at `resolution`, as it does in jobs; by default as they are. `watch` is
    called before each tile, and may raise.
    """
    classes = len(pictures.data.classes)
    confusion = torch.zeros(classes, classes, dtype=torch.int64)
    for place in range(len(pictures)):
        picture, mask = pictures.open(place)
        found = find_classes(network, picture, resolution, watch=watch)
        confusion += count_pixels(torch.from_numpy(mask), found, classes)
    return measure(confusion, pictures.data.classes.names)
