"""The networks: sizes of every input, crops of the authors, and layers 6 to 8 as convolutions."""

from dataclasses import replace
from itertools import product

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.models import vgg16

from workers.runtime.vgg16 import VGG16
from workers.segment.convolutionalise import convolutionalise
from workers.segment.fcn import FCN, add_skip, make_bilinear, make_upsampling, start_from
from workers.segment.fcn_config import ORIGINAL, SHAPES, FcnConfig

THIN = FcnConfig(classes=4, encoder="thin", fc6_padding=1)
PADDINGS = (0, 1, ORIGINAL)


def build(config: FcnConfig, seed: int = 0) -> FCN:
    torch.manual_seed(seed)
    return FCN(config).eval()


def build_empty(config: FcnConfig) -> FCN:
    """With the shapes of its numbers, and none of them."""
    with torch.device("meta"):
        return FCN(config).eval()


def fill_skips(network: FCN) -> FCN:
    """Let the score layers say something."""
    for layer in [network.score, *network.skips.values()]:
        torch.nn.init.normal_(layer.weight)
    return network


@pytest.fixture(scope="module")
def classifier() -> torch.nn.Module:
    torch.manual_seed(1)
    return vgg16().eval()


@pytest.fixture
def photograph() -> Tensor:
    return torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(2))


@pytest.fixture(scope="module")
def convolutional(classifier) -> FCN:
    network = build_empty(FcnConfig(classes=1000, stride=32, fc6_padding=0)).to_empty(device="cpu")
    convolutionalise(network, classifier.state_dict())
    return network


@torch.inference_mode()
def test_without_padding_layers_6_to_8_give_the_logits_of_the_classifier(
    classifier, convolutional, photograph
):
    scores = convolutional.classify(convolutional.encoder(photograph)[-1])
    assert scores.shape == (1, 1000, 1, 1)
    assert torch.allclose(scores.flatten(), classifier(photograph).flatten(), rtol=0, atol=1e-5)


@torch.inference_mode()
def test_with_padding_the_cell_in_the_middle_gives_them(classifier, convolutional, photograph):
    pool5 = F.pad(convolutional.encoder(photograph)[-1], [3, 3, 3, 3])  # what fc6's padding adds
    scores = convolutional.classify(pool5)
    expected = classifier(photograph).flatten()
    assert scores.shape == (1, 1000, 7, 7)
    assert torch.allclose(scores[0, :, 3, 3], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("padding", "side"), [(3, 7), (0, 1)])
def test_layers_6_to_8_have_the_published_shapes(padding, side):
    network = build_empty(FcnConfig(classes=1000, stride=32, fc6_padding=padding))
    shapes = []
    for layer in (network.fc6, network.fc7, network.score):
        layer.register_forward_hook(lambda *call: shapes.append(call[-1].shape[1:]))
    network.classify(network.encoder(torch.zeros(1, 3, 224, 224, device="meta"))[-1])
    assert shapes == [(4096, side, side), (4096, side, side), (1000, side, side)]


def test_the_original_border_gives_a_map_of_8_cells_for_224_pixels():
    network = build_empty(FcnConfig(classes=1000, stride=32, fc6_padding=ORIGINAL))
    scores = network.classify(network.encoder(torch.zeros(1, 3, 224, 224, device="meta"))[-1])
    assert scores.shape == (1, 1000, 8, 8)


class Remembering(torch.nn.Module):
    """An encoder that sees a picture of each size once, for its last size alone."""

    def __init__(self, encoder: torch.nn.Module) -> None:
        super().__init__()
        self.encoder, self.size, self.pools = encoder, (0, 0), []

    def forward(self, pixels: Tensor) -> list[Tensor]:
        if self.size != pixels.shape[2:]:
            self.size, self.pools = pixels.shape[2:], self.encoder(pixels)
        return self.pools


@pytest.mark.parametrize("padding", PADDINGS)
def test_every_size_up_to_600_gives_a_score_for_every_pixel(padding):
    configs = [replace(THIN, stride=stride, fc6_padding=padding) for stride in (32, 16, 8)]
    networks = [build_empty(config) for config in configs]
    border = ORIGINAL if padding == ORIGINAL else 1
    with torch.device("meta"):  # without its norms, which change no size
        encoder = Remembering(VGG16(SHAPES["thin"].widths, border=border))
    for network in networks:
        network.encoder = encoder
    for height in range(1, 301):
        width = 601 - height  # 300 to 600
        pixels = torch.empty(1, 3, height, width, device="meta")
        shapes = [network(pixels).shape for network in networks]
        assert shapes == [(1, 4, height, width)] * 3


@pytest.mark.parametrize("size", [1, 100, 223, 224, 225, 600])
@pytest.mark.parametrize("padding", [0, 3, ORIGINAL])
def test_so_does_the_network_of_the_paper(size, padding):
    network = build_empty(FcnConfig(fc6_padding=padding))
    assert network(torch.zeros(1, 3, size, 50, device="meta")).shape == (1, 21, size, 50)


# Crops of the authors' networks: voc-fcn32s, 16s and 8s, in their order.
@pytest.mark.parametrize(("stride", "crops"), [(32, [19]), (16, [5, 27]), (8, [5, 9, 31])])
def test_the_original_border_is_cropped_as_the_authors_do(stride, crops):
    network = fill_skips(build(replace(THIN, stride=stride, fc6_padding=ORIGINAL)))
    shape = replace(SHAPES["thin"], kernel=7)  # fc6 of the paper, for the crops depend on it
    fc6 = torch.nn.Conv2d(shape.widths[-1], shape.wide, 7)
    network.fc6 = torch.nn.Sequential(fc6)
    network.config = FcnConfig(classes=4, stride=stride, fc6_padding=ORIGINAL)
    pixels = torch.randn(1, 3, 50, 70)
    with torch.inference_mode():
        pools = network.encoder(pixels)
        scores = network.classify(pools[-1])
        for name, pool, crop in zip(network.skips, (pools[3], pools[2]), crops[:-1], strict=False):
            up = network.twice[name](scores)
            height, width = up.shape[2:]
            skip = network.skips[name](pool)[..., crop : crop + height, crop : crop + width]
            scores = up + skip
        expected = network.whole(scores)[
            ..., crops[-1] : crops[-1] + 50, crops[-1] : crops[-1] + 70
        ]
        assert torch.equal(network(pixels), expected)


@pytest.mark.parametrize(("stride", "padding"), list(product((32, 16, 8), PADDINGS)))
def test_scores_lie_where_the_pixels_are(stride, padding):
    """Cells of one score, and of a step in the middle: the step is found where it is."""
    network = build(replace(THIN, classes=1, stride=stride, fc6_padding=padding))

    def tell_column(pool: Tensor, size: int, border: int) -> Tensor:
        """The middle of each cell on the picture, in pixels."""
        places = size * (torch.arange(pool.shape[3]) + 0.5) - border
        return places.expand(1, 1, *pool.shape[2:]).clone()

    border, shift = network.config.border, network.config.shift
    pools = network.encoder(torch.zeros(1, 3, 256, 320 + 2 * border * (padding != ORIGINAL)))
    parts = 1 + len(network.skips)  # each tells its part of the whole
    coarse = tell_column(pools[-1], 32, border)
    cells = slice(shift, coarse.shape[3] - shift)
    network.classify = lambda _: coarse[..., cells] / parts
    for name, place, size in (("pool4", 3, 16), ("pool3", 2, 8)):
        if name in network.skips:
            told = tell_column(pools[place], size, border) / parts
            network.skips[name] = Constant(told)
    with torch.inference_mode():
        found = network(torch.zeros(1, 3, 256, 320))[0, 0]
    middle = found[100:150, 100:200]
    assert torch.allclose(middle, (torch.arange(100, 200) + 0.5).expand(50, 100), atol=1e-3)


class Constant(torch.nn.Module):
    def __init__(self, answer: Tensor) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, _: Tensor) -> Tensor:
        return self.answer


@pytest.mark.parametrize("factor", [2, 8, 16, 32])
def test_deconvolution_equals_interpolation_in_the_interior(factor):
    maps = torch.randn(1, 3, 6, 7, generator=torch.Generator().manual_seed(0))
    half = factor // 2
    ours = make_upsampling(3, factor)(maps)[..., half:-half, half:-half]
    theirs = F.interpolate(maps, scale_factor=factor, mode="bilinear", align_corners=False)
    inside = slice(half, -half)  # beyond the map are zeros for us, the last values for them
    assert torch.allclose(ours[..., inside, inside], theirs[..., inside, inside], atol=1e-6)
    assert not torch.allclose(ours, theirs, atol=1e-2)


def test_bilinear_kernels_are_the_authors():
    # surgery.py of the authors' repository, upsample_filt(4) and (3)
    assert make_bilinear(4)[0].tolist() == [0.0625, 0.1875, 0.1875, 0.0625]
    assert make_bilinear(3).tolist() == [[0.25, 0.5, 0.25], [0.5, 1, 0.5], [0.25, 0.5, 0.25]]


def test_a_finer_network_starts_with_what_the_coarser_one_learned():
    coarse = fill_skips(build(replace(THIN, stride=32)))
    fine = build(replace(THIN, stride=16), seed=5)
    start_from(fine, coarse.state_dict())
    pixels = torch.randn(1, 3, 96, 96)
    with torch.inference_mode():
        scores = coarse.classify(coarse.encoder(pixels)[-1])
        assert torch.equal(fine.classify(fine.encoder(pixels)[-1]), scores)
        middle = (..., slice(32, 64), slice(32, 64))  # the new layer says nothing yet
        before, after = coarse(pixels)[middle], fine(pixels)[middle]
        assert (after - before).abs().mean() < 0.15 * before.std()


@pytest.mark.parametrize("change", [{"classes": 5}, {"stride": 8}, {"encoder": "vgg16"}])
def test_weights_of_another_network_or_a_finer_one_are_refused(change):
    config = replace(THIN, **{"stride": 16, "fc6_padding": 0} | change)
    other = build_empty(config).state_dict()
    with pytest.raises(ValueError, match="another network"):
        start_from(build(replace(THIN, stride=16)), other)


def test_score_layers_start_at_zero():
    network = build(THIN)
    assert not network(torch.randn(1, 3, 64, 64)).any()


@pytest.mark.parametrize(
    ("config", "scales"),
    [
        (FcnConfig(at_once=True), [0.01, 0.0001]),
        (FcnConfig(at_once=True, stride=16), [0.01]),
        (FcnConfig(), [1, 1]),
        (replace(THIN, at_once=True), [1, 1]),  # normalised, they are no larger than the others
    ],
)
def test_at_once_the_large_numbers_of_vgg16_are_scaled_down(config, scales):
    assert list(build_empty(config).scales.values()) == scales


def test_scales_are_of_the_pools():
    network, plain = fill_skips(build(THIN)), build(THIN)
    plain.load_state_dict(network.state_dict())
    network.scales = {"pool4": 0.25, "pool3": 0.5}
    with torch.no_grad():
        plain.skips["pool4"].weight *= 0.25
        plain.skips["pool3"].weight *= 0.5
    pixels = torch.randn(1, 3, 64, 64)
    assert torch.allclose(network(pixels), plain(pixels), atol=1e-4)


@pytest.mark.parametrize("learned", [True, False])
def test_bilinear_kernels_are_learned_if_asked(learned):
    network = build(replace(THIN, learn_upsampling=learned))
    fixed = [name for name, one in network.named_parameters() if not one.requires_grad]
    kernels = ["twice.pool4.weight", "twice.pool3.weight", "whole.weight"]
    assert fixed == ([] if learned else kernels)


@pytest.mark.parametrize(
    ("config", "count"),
    [
        # 14,714,688 of VGG16, 102,764,544 and 16,781,312 of fc6 and fc7, the scores
        (FcnConfig(stride=32), 134_260_544 + 21 * 4097),
        (FcnConfig(), 134_260_544 + 21 * (4097 + 513 + 257)),
        # 919,728 and 2,112 of norms; 294,912 and 65,536, and 512 of norms each; the scores
        (FcnConfig(11, "thin", fc6_padding=1), 1_283_312 + 11 * (257 + 129 + 65)),
    ],
)
def test_the_networks_have_the_size_they_should(config, count):
    network = build_empty(config)
    assert sum(one.numel() for one in network.parameters() if one.requires_grad) == count


@pytest.mark.parametrize(
    "change",
    [
        {"classes": 0},
        {"stride": 4},
        {"encoder": "resnet"},
        {"fc6_padding": 2},
        {"encoder": "thin", "fc6_padding": 3},
    ],
)
def test_networks_that_cannot_be_are_refused(change):
    with pytest.raises(ValueError, match=r"must be|is no encoder"):
        replace(FcnConfig(), **change)


def test_a_skip_lies_beside_or_beyond_the_coarse_map():
    coarse, fine = torch.zeros(1, 1, 4, 4), torch.arange(36.0).view(1, 1, 6, 6)
    total, place = add_skip(coarse, fine, 1)
    assert (place, total[0, 0, 0, 0].item(), total.shape[2:]) == (1, 7.0, (4, 4))
    total, place = add_skip(coarse, fine, -1)
    assert (place, total[0, 0, 0, 0].item(), total.shape[2:]) == (0, 0.0, (3, 3))


def test_weights_of_another_classifier_are_refused(classifier):
    state = classifier.state_dict()
    other = build_empty(FcnConfig(stride=32, encoder="thin", fc6_padding=1))
    with pytest.raises(ValueError, match="no layer of VGG16"):
        convolutionalise(other.to_empty(device="cpu"), state)
    odd = {name.replace("features.0.", "conv."): one for name, one in state.items()}
    with pytest.raises(ValueError, match="no layer of VGG16"):
        convolutionalise(other, odd)
    del state["features.0.weight"], state["features.0.bias"]
    with pytest.raises(ValueError, match="16 layers with weights, this has 15"):
        convolutionalise(other, state)
