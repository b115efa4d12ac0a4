"""EfficientNet-Lite0 as published: its size, its answers, and what a detector takes of it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from shared.weights import DamagedWeights, MissingWeights
from workers.runtime.efficientnet_lite import (
    PUBLISHED,
    EfficientNetLite0,
    read_classifier,
    read_pretrained,
)

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


def as_input(photo: Path) -> torch.Tensor:
    """(1, 3, 224, 224): the square in the middle."""
    square = ImageOps.fit(Image.open(photo).convert("RGB"), (224, 224), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.asarray(square).astype(np.float32) / 255).permute(2, 0, 1)[None]


@pytest.mark.parametrize("name", GOLDEN)
def test_it_sees_in_photographs_what_the_published_network_sees(classifier, weights, name):
    expected, length = GOLDEN[name]
    with torch.inference_mode():
        scores = classifier(as_input(weights / name))[0]
    assert scores.topk(3).indices.tolist() == list(expected)
    assert scores.topk(3).values.tolist() == pytest.approx(list(expected.values()), abs=1e-4)
    assert scores.norm().item() == pytest.approx(length, abs=1e-4)


def test_it_has_the_parameters_of_the_published_network():
    # Tan & Le's lite0 has 4.65 million: 4,652,008 in the package's network
    with torch.device("meta"):
        network = EfficientNetLite0()
    assert sum(weights.numel() for weights in network.parameters()) == 4_652_008


def test_what_it_reads_is_checked_first(tmp_path):
    with pytest.raises(MissingWeights, match=f"atelier weights pull {PUBLISHED}"):
        read_pretrained(tmp_path)
    (tmp_path / PUBLISHED).write_bytes(b"no network")
    with pytest.raises(DamagedWeights):
        read_pretrained(tmp_path)
