"""Probabilities as pictures that programs read as numbers and people see as colours."""

from functools import lru_cache

import matplotlib
import numpy as np
from PIL import Image
from torch import Tensor

from workers.runtime.images import encode_png

COLOURS = "viridis"  # of matplotlib; as far apart to the eye as the numbers are


def write_heat_map(probabilities: Tensor) -> bytes:
    """A PNG of probabilities (h, w) in [0, 1]: its index is 255 times the probability, rounded.

    Its palette goes from dark blue to yellow.
    """
    image = Image.fromarray((probabilities * 255).round().byte().cpu().numpy())
    image.putpalette(_make_palette())
    return encode_png(image)


@lru_cache
def _make_palette() -> bytes:
    """Red, green and blue of each index."""
    colours = matplotlib.colormaps[COLOURS](np.arange(256), bytes=True)
    return np.asarray(colours)[:, :3].tobytes()
