"""Heat maps: numbers for programs, colours for people, and never too large."""

from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from workers.segment.heat_maps import write_heat_map
from workers.segment.mean_maps import MeanMaps


def read(content: bytes) -> np.ndarray:
    with Image.open(BytesIO(content)) as image:
        assert (image.format, image.mode) == ("PNG", "P")
        return np.asarray(image)


def test_the_index_is_the_probability():
    levels = torch.tensor([[0, 0.001, 0.003, 0.5], [0.998, 0.999, 1, 1 / 255]])
    assert read(write_heat_map(levels)).tolist() == [[0, 0, 1, 128], [254, 255, 255, 1]]


def test_every_level_is_kept():
    levels = torch.arange(256) / 255
    assert read(write_heat_map(levels[None])).tolist() == [list(range(256))]


def test_colours_grow_brighter_with_the_probability():
    image = Image.open(BytesIO(write_heat_map(torch.arange(256)[None] / 255)))
    shown = np.asarray(image.convert("RGB"), float)[0]
    luma = shown @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luma[::5]) > 0).all()  # neighbours may be equal, for colours are whole numbers
    assert shown[0] == pytest.approx([68, 1, 84], abs=1)  # viridis ends with #440154 and #fde725
    assert shown[255] == pytest.approx([253, 231, 37], abs=1)


def find_even(share: float, *size: int) -> Tensor:
    """The map (h, w) of one of two classes, equally likely everywhere on a picture."""
    scores = torch.tensor([share, 1 - share]).log().view(2, 1, 1).expand(2, *size)
    maps = MeanMaps((0,), *size)
    maps.add(slice(0, size[0]), slice(0, size[1]), scores)
    return maps.find_means()[0]


@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        ((1, 1), (1, 1)),
        ((1024, 700), (1024, 700)),
        ((2048, 100), (1024, 50)),
        ((300, 1025), (300, 1024)),
        ((1, 5000), (1, 1024)),
        ((6324, 6324), (1024, 1024)),
    ],
)
def test_the_longer_side_has_at_most_1024_pixels(size, wanted):
    found = read(write_heat_map(find_even(0.6, *size)))
    assert found.shape == wanted
    assert (found == 153).all()


def test_what_is_made_smaller_is_averaged():
    stripes = torch.full((2, 2048, 2), -torch.inf)
    stripes[0, ::2] = stripes[1, 1::2] = 0
    maps = MeanMaps((0,), 2048, 2)
    maps.add(slice(0, 2048), slice(0, 2), stripes)
    assert (read(write_heat_map(maps.find_means()[0])) == 128).all()
