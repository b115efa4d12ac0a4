"""A YOLO on EfficientNet-Lite0: how far its trunk goes, and what it starts with."""

import pytest
import torch
from torch import nn

from workers.detect.weights import hand_over
from workers.detect.yolo import Yolo
from workers.detect.yolo_config import YoloConfig
from workers.runtime.efficientnet_lite import build_trunk, read_classifier, read_pretrained


@pytest.mark.parametrize(("grid", "channels"), [(2, 320), (4, 112)])
def test_a_trunk_goes_as_far_as_the_grid_asks(grid, channels):
    config = YoloConfig("efficientnet-lite0", classes=3, side=64, grid=grid)
    network = Yolo(config).eval()
    with torch.inference_mode():
        assert network.trunk(torch.rand(2, 3, 64, 64)).shape == (2, channels, grid, grid)
        assert network(torch.rand(2, 3, 64, 64)).shape == (2, grid, grid, config.depth)


@pytest.mark.parametrize("grid", [2, 4])
def test_a_detector_starts_with_the_published_weights(weights, grid):
    trunk = Yolo(YoloConfig("efficientnet-lite0", 2, 64, grid)).trunk
    learned = read_pretrained(weights)
    hand_over(learned, trunk)
    own = trunk.state_dict()
    assert sum(isinstance(layer, nn.Conv2d) for layer in trunk.modules()) > 30
    assert all(torch.equal(tensor, learned[name]) for name, tensor in own.items())


def test_a_fine_grid_sees_what_the_classifier_sees_on_the_way(weights):
    classifier, fine = read_classifier(weights), build_trunk(16).eval()
    hand_over(classifier.trunk.state_dict(), fine)
    picture = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(fine(picture), classifier.trunk[: len(fine)](picture))
