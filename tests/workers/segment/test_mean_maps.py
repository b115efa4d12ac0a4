"""Maps of how likely classes are, gathered from parts of a picture."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workers.segment.mean_maps import MeanMaps


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 7))
def test_a_small_picture_keeps_its_size_and_its_probabilities(height, width, step):
    scores = torch.randn(4, height, width)
    maps = MeanMaps((2, 0, 1, 3), height, width)
    for start in range(0, height, step):
        rows = slice(start, min(height, start + step))
        maps.add(rows, slice(0, width), scores[:, rows])
    likely = scores.softmax(dim=0)[[2, 0, 1, 3]]
    assert torch.allclose(maps.find_means(), likely)
    assert torch.allclose(maps.find_means().sum(dim=0), torch.ones(height, width))
    assert torch.allclose(maps.highest, likely.amax(dim=(1, 2)))


def test_a_larger_one_is_the_mean_of_its_pixels():
    scores = torch.randn(3, 20, 4096)
    maps = MeanMaps((1,), 20, 4096)
    for start in range(0, 4096, 1000):
        columns = slice(start, min(4096, start + 1000))
        maps.add(slice(0, 20), columns, scores[:, :, columns])
    likely = scores.softmax(dim=0)[1]
    assert torch.allclose(maps.find_means()[0], likely.view(5, 4, 1024, 4).mean(dim=(1, 3)))
    assert maps.highest[0] == likely.max()


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (3000, 2999), (1025, 7)])
def test_every_pixel_of_a_map_stands_for_some_of_the_picture(size):
    maps = MeanMaps((0,), *size)
    maps.add(slice(0, size[0]), slice(0, size[1]), torch.zeros(2, *size))
    assert max(maps.find_means().shape) == min(1024, max(size))
    assert (maps.find_means() == 0.5).all()


def test_scores_that_are_no_numbers_count_as_unlikely():
    scores = torch.tensor([torch.nan, 0.0, torch.inf, -torch.inf]).view(1, 1, 4).repeat(2, 1, 1)
    maps = MeanMaps((0, 1), 1, 4)
    maps.add(slice(0, 1), slice(0, 4), scores)
    assert maps.find_means()[0].tolist() == [[0.0, 0.5, 0.0, 0.0]]
    assert maps.highest.tolist() == [0.5, 0.5]
