"""The encoders of segmentation networks: EfficientNet-Lite0, a slim VGG16, their first weights."""

from pathlib import Path

import pytest
import torch

from shared.weights import MissingWeights
from workers.runtime.efficientnet_lite import read_classifier
from workers.runtime.vgg16 import normalise
from workers.segment.encoders import EfficientNetEncoder, read_encoder
from workers.segment.fcn import FCN
from workers.segment.fcn_config import SHAPES, FcnConfig
from workers.segment.weights import make_network

LITE = FcnConfig(5, "efficientnet-lite0", fc6_padding=1)


def build_empty(config: FcnConfig) -> FCN:
    with torch.device("meta"):
        return FCN(config).eval()


def test_efficientnet_sees_what_its_classifier_sees(weights: Path):
    encoder = EfficientNetEncoder().eval()
    encoder.load_state_dict(read_encoder("efficientnet-lite0", weights))
    picture = torch.rand(2, 3, 64, 96)
    with torch.inference_mode():
        maps = encoder(normalise(picture))
        expected = read_classifier(weights).trunk(picture)
    assert torch.allclose(maps[-1], expected, atol=1e-3)
    assert [tuple(one.shape[2:]) for one in maps] == [(32, 48), (16, 24), (8, 12), (4, 6), (2, 3)]
    assert tuple(one.shape[1] for one in maps) == SHAPES["efficientnet-lite0"].widths


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("stride", [32, 16, 8])
def test_every_size_gives_a_score_for_every_pixel(stride, padding):
    network = build_empty(FcnConfig(5, "efficientnet-lite0", stride, padding))
    for height in (*range(1, 66), 223, 600):
        pixels = torch.empty(1, 3, height, 40, device="meta")
        assert network(pixels).shape == (1, 5, height, 40)


# Of the trunks: 14,714,688, and 4,652,008 without the classifier's 320 x 1280 + 2560 and
# 1280 x 1000 + 1000.
TRUNKS = {"vgg16-slim": 14_714_688, "efficientnet-lite0": 2_958_848}


@pytest.mark.parametrize("encoder", TRUNKS)
def test_the_networks_have_the_size_they_should(encoder):
    network = build_empty(FcnConfig(11, encoder, fc6_padding=1))
    inputs, wide = network.config.shape.widths, 256
    heads = 9 * inputs[4] * wide + wide * wide + 4 * wide + 11 * (wide + 1)
    skips = 11 * (inputs[3] + 1 + inputs[2] + 1)
    norms = 2 * (inputs[3] + inputs[2]) if encoder == "vgg16-slim" else 0
    learned = sum(one.numel() for one in network.parameters() if one.requires_grad)
    assert learned == TRUNKS[encoder] + heads + skips + norms


def test_the_original_border_is_of_vgg16_alone():
    with pytest.raises(ValueError, match="original border"):
        FcnConfig(5, "efficientnet-lite0", fc6_padding=100)


def test_weights_that_are_not_there_are_named(tmp_path: Path):
    assert read_encoder("thin", tmp_path) is None
    for encoder, file in (("efficientnet-lite0", "lite0.pth"), ("vgg16-slim", "vgg16.onnx")):
        with pytest.raises(MissingWeights, match=rf"atelier weights pull .*{file}"):
            read_encoder(encoder, tmp_path)


def test_a_score_depends_on_nothing_beyond_the_reach_of_the_network():
    network = make_network(LITE, seed=1).eval().double()
    for layer in network.modules():  # each gives the mean of what it sees: nothing cancels out
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.constant_(layer.weight, 1 / layer.weight[0].numel())
    pixels = torch.full((1, 3, 2400, 32), 20.0, dtype=torch.double, requires_grad=True)
    network(pixels)[0, 0, 1203, 16].backward()
    assert pixels.grad is not None
    seen = pixels.grad[0].abs().amax(dim=(0, 2)).nonzero().flatten()
    furthest = max(1203 - int(seen.min()), int(seen.max()) - 1203)
    assert LITE.reach - 64 < furthest <= LITE.reach
