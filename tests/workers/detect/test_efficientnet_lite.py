"""EfficientNet-Lite0 as published: its size, its answers, and what a detector takes of it."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torch import nn

from shared.weights import DamagedWeights, MissingWeights
from workers.detect.efficientnet_lite import (
    PUBLISHED,
    EfficientNetLite0,
    build_trunk,
    read_classifier,
    read_pretrained,
)
from workers.detect.weights import hand_over
from workers.detect.yolo import Yolo
from workers.detect.yolo_config import YoloConfig

# The three highest of 1,000 scores before softmax, and the length of them all, from the network of
# the package efficientnet-lite-pytorch 0.1.0 with the same weights and pixels. The classes of
# ImageNet are espresso, cup, consomme; palace, bell cote, lakeside.
GOLDEN = {
    "coffee.png": ({967: 11.06626, 968: 6.91509, 925: 6.26430}, 34.60205),
    "china.jpg": ({698: 8.24717, 442: 7.96092, 975: 6.71670}, 40.59855),
}


@pytest.fixture(scope="module")
def classifier(weights: Path) -> EfficientNetLite0:
    return read_classifier(weights)


def as_input(photo: bytes) -> torch.Tensor:
    """(1, 3, 224, 224): the square in the middle."""
    square = ImageOps.fit(
        Image.open(BytesIO(photo)).convert("RGB"), (224, 224), Image.Resampling.BILINEAR
    )
    return torch.from_numpy(np.asarray(square).astype(np.float32) / 255).permute(2, 0, 1)[None]


@pytest.mark.parametrize("name", GOLDEN)
def test_it_sees_in_photographs_what_the_published_network_sees(classifier, photo, name):
    expected, length = GOLDEN[name]
    with torch.inference_mode():
        scores = classifier(as_input(photo(name)))[0]
    assert scores.topk(3).indices.tolist() == list(expected)
    assert scores.topk(3).values.tolist() == pytest.approx(list(expected.values()), abs=1e-4)
    assert scores.norm().item() == pytest.approx(length, abs=1e-4)


def test_it_has_the_parameters_of_the_published_network():
    # Tan & Le's lite0 has 4.65 million: 4,652,008 in the package's network
    with torch.device("meta"):
        network = EfficientNetLite0()
    assert sum(weights.numel() for weights in network.parameters()) == 4_652_008


@pytest.mark.parametrize(("grid", "channels"), [(2, 320), (4, 112)])
def test_a_trunk_goes_as_far_as_the_grid_asks(grid, channels):
    config = YoloConfig("efficientnet-lite0", classes=3, side=64, grid=grid)
    network = Yolo(config).eval()
    with torch.inference_mode():
        assert network.trunk(torch.rand(2, 3, 64, 64)).shape == (2, channels, grid, grid)
        assert network(torch.rand(2, 3, 64, 64)).shape == (2, grid, grid, config.depth)


def test_the_trunk_of_a_fine_grid_sees_what_the_classifier_sees_on_the_way(classifier, photo):
    fine = build_trunk(16).eval()
    hand_over(classifier.trunk.state_dict(), fine)
    picture = as_input(photo("coffee.png"))
    with torch.inference_mode():
        assert torch.equal(fine(picture), classifier.trunk[: len(fine)](picture))


@pytest.mark.parametrize("grid", [2, 4])
def test_a_detector_starts_with_the_published_weights(weights, grid):
    trunk = Yolo(YoloConfig("efficientnet-lite0", 2, 64, grid)).trunk
    learned = read_pretrained(weights)
    hand_over(learned, trunk)
    own = trunk.state_dict()
    assert sum(isinstance(layer, nn.Conv2d) for layer in trunk.modules()) > 30
    assert all(torch.equal(tensor, learned[name]) for name, tensor in own.items())


def test_what_it_reads_is_checked_first(tmp_path):
    with pytest.raises(MissingWeights, match=f"atelier weights pull {PUBLISHED}"):
        read_pretrained(tmp_path)
    (tmp_path / PUBLISHED).write_bytes(b"no network")
    with pytest.raises(DamagedWeights):
        read_pretrained(tmp_path)
