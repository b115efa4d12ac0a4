"""Probabilities as pictures that programs read as numbers and people see as colours."""

from functools import lru_cache
from io import BytesIO

import matplotlib
import numpy as np
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

MAX_SIDE = 1024  # pixels
COLOURS = "viridis"  # of matplotlib; as far apart to the eye as the numbers are


def write_heat_map(probabilities: Tensor) -> bytes:
    """A PNG of probabilities (h, w) in [0, 1]: its index is 255 times the probability, rounded.

    Its palette goes from dark blue to yellow. Its longer side has at most MAX_SIDE pixels; each is
    the mean of those it stands for.
    """
    image = Image.fromarray((_shrink(probabilities) * 255).round().byte().cpu().numpy())
    image.putpalette(_make_palette())
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _shrink(probabilities: Tensor) -> Tensor:
    longest = max(probabilities.shape)
    if longest <= MAX_SIDE:
        return probabilities
    height, width = (max(1, round(side * MAX_SIDE / longest)) for side in probabilities.shape)
    return F.interpolate(probabilities[None, None], (height, width), mode="area")[0, 0]


@lru_cache
def _make_palette() -> bytes:
    """Red, green and blue of each index."""
    colours = matplotlib.colormaps[COLOURS](np.arange(256), bytes=True)
    return np.asarray(colours)[:, :3].tobytes()
