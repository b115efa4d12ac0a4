"""Whole pictures segmented by a network, and measured."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from tests.workers.segment.coloured import COLOURS, make_pictures
from workers.runtime.vgg16 import normalise
from workers.segment.batches import Pictures
from workers.segment.fcn import FCN
from workers.segment.fcn_config import FcnConfig
from workers.segment.tiles import Tiling
from workers.segment.validation import find_classes, measure_network

TILES = Tiling(side=128, overlap=64, margin=16)


class Nearest(FCN):
    """Scores how near a pixel is to the colour of each class."""

    def __init__(self) -> None:
        super().__init__(FcnConfig(3, "thin", fc6_padding=1))
        shown = normalise(torch.tensor(COLOURS).view(3, 3, 1, 1) / 255)
        self.colours = nn.Parameter(shown[None])  # (1, C, 3, 1, 1)
        self.seen: list[torch.Size] = []

    def forward(self, pixels: Tensor) -> Tensor:
        self.seen.append(pixels.shape)
        return -(pixels[:, None] - self.colours).square().sum(dim=2)


def test_pictures_are_measured_together():
    pictures = Pictures(make_pictures(3))
    calls = []
    score = measure_network(Nearest().eval(), pictures, watch=lambda: calls.append(1))
    assert score.mean_iou == pytest.approx(1, abs=0.01)
    assert [one.name for one in score.classes] == ["background", "red", "blue"]
    assert sum(one.pixels for one in score.classes) == 3 * 64 * 64
    assert len(calls) == 3


def test_pictures_are_seen_at_a_resolution_and_measured_at_their_own_size():
    network = Nearest().eval()
    score = measure_network(network, Pictures(make_pictures(2)), 32)
    assert network.seen == [(1, 3, 32, 32)] * 2
    assert sum(one.pixels for one in score.classes) == 2 * 64 * 64
    assert 0.7 < score.mean_iou < 0.99  # edges are as fine as what was seen


def test_a_large_picture_is_segmented_in_tiles():
    picture, mask = Pictures(make_pictures(1)).open(0)
    large = picture.resize((256, 192), Image.Resampling.NEAREST)
    network = Nearest().eval()
    found = find_classes(network, large, tiling=TILES)
    assert max(network.seen) == (1, 3, 128, 128)
    expected = np.asarray(Image.fromarray(mask).resize((256, 192), Image.Resampling.NEAREST))
    assert found.shape == (192, 256)
    assert (found.numpy() == expected).mean() > 0.99


def test_somebody_may_watch_and_stop_it_before_each_tile():
    seen: list[int] = []

    def watch() -> None:
        seen.append(1)
        if len(seen) == 3:
            raise InterruptedError

    picture = Image.new("RGB", (300, 40))
    with pytest.raises(InterruptedError):
        find_classes(Nearest().eval(), picture, tiling=TILES, watch=watch)
