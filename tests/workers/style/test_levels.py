"""All layers are made equally loud, and see what they saw before."""

from statistics import fmean

import numpy as np
import pytest
import torch
from PIL import Image

from shared.weights import locate
from tests.workers.style.networks import draw_convolutions
from workers.runtime.vgg16 import MEAN, VGG16
from workers.runtime.vgg16_weights import FILE, load_vgg16
from workers.style.features import Features, load_features, measure_means, read_convolutions
from workers.style.layers import list_layers
from workers.style.levels import VGG16_LEVELS, draw_leaves, level

PHOTOGRAPHS = (
    "astronaut.png",
    "chelsea.png",
    "china.jpg",
    "coffee.png",
    "crossing.jpg",
    "motorcycle_left.png",
    "obama.jpg",
    "rocket.jpg",
)


@pytest.fixture(scope="module")
def photographs(weights) -> list[torch.Tensor]:
    pictures = []
    for name in PHOTOGRAPHS:
        with Image.open(locate(name, weights)) as opened:
            image = opened.convert("RGB")
        image.thumbnail((256, 256))
        pictures.append(torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] / 255)
    return pictures


@pytest.fixture(scope="module")
def original(weights) -> VGG16:
    network = VGG16()
    load_vgg16(network, locate(FILE, weights))
    return network


@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize("network", ["vgg16", "vgg19"])
@torch.no_grad()
def test_a_levelled_network_is_the_same_but_for_a_factor_of_each_layer(network, pooling):
    drawn = draw_convolutions(network)
    raw, picture = Features(network, pooling, drawn), draw_leaves(0)
    means = measure_means(raw, [picture])
    levelled = Features(network, pooling, level(drawn, means))
    assert measure_means(levelled, [picture]) == pytest.approx([1] * len(means), rel=1e-4)
    names = list_layers(network)
    before, after = raw.look(picture, names), levelled.look(picture, names)
    convolutions = [name for name in names if name.startswith("conv")]
    factors = dict(zip(convolutions, means, strict=True))
    for place, name in enumerate(names):
        factor = [factors[one] for one in names[: place + 1] if one in factors][-1]
        assert torch.allclose(after[name] * factor, before[name], rtol=1e-3, atol=1e-4), name


@pytest.mark.parametrize("pooling", ["max", "average"])
def test_the_levels_of_vgg16_are_those_of_photographs(pooling, weights, photographs):
    loaded = load_features("vgg16", pooling, weights, torch.device("cpu"))
    means = measure_means(loaded, photographs)
    assert means == pytest.approx([1] * 13, abs=0.01)


@pytest.mark.parametrize(("pooling", "factor"), [("max", 2.2), ("average", 3.0)])
def test_what_is_made_up_excites_a_network_about_as_photographs_do(pooling, factor, original):
    """So a network can be levelled where no photographs are."""
    raw = Features("vgg16", pooling, read_convolutions(original.state_dict()), MEAN, [1 / 255] * 3)
    means = measure_means(raw, [draw_leaves(0), draw_leaves(1)])
    known = [mean for stage in VGG16_LEVELS[pooling] for mean in stage]
    ratios = [mean / level for mean, level in zip(means, known, strict=True)]
    assert 1 / factor < min(ratios) < max(ratios) < factor
    assert 0.6 < fmean(ratios) < 1.4


def test_leaves_fall_as_the_seed_tells():
    first = draw_leaves(3)
    assert first.shape == (1, 3, 224, 224)
    assert 0 <= first.min() < first.max() <= 1
    assert torch.equal(first, draw_leaves(3))
    assert not torch.equal(first, draw_leaves(4))
