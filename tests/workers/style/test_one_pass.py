"""The network that paints in one pass: its shapes, its layers, its way to enlarge."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from workers.style.one_pass import Enlarge, OnePass, OnePassConfig, make_norm

SMALL = OnePassConfig(width=4, blocks=1)


@pytest.fixture(scope="module")
def network() -> OnePass:
    torch.manual_seed(0)
    return OnePass(SMALL).eval()


@pytest.mark.parametrize("size", [(16, 16), (17, 31), (18, 45), (40, 19), (35, 34)])
@torch.inference_mode()
def test_a_picture_of_any_size_is_painted_at_its_size(network, size):
    painted = network(torch.rand(2, 3, *size))
    assert painted.shape == (2, 3, *size)
    assert 0 <= painted.min() < painted.max() <= 1


def test_it_has_the_layers_of_the_paper():
    """Johnson et al. (2016), supplementary material: 9x9 with 32 channels, two that halve, five
    blocks of 128 channels, two that double, 9x9."""
    network = OnePass(OnePassConfig())
    sizes = [
        (one.in_channels, one.out_channels, one.kernel_size[0], one.stride[0])
        for one in network.modules()
        if isinstance(one, nn.Conv2d)
    ]
    blocks = [(128, 128, 3, 1)] * 10
    assert sizes == [(3, 32, 9, 1), (32, 64, 3, 2), (64, 128, 3, 2), *blocks, (32, 3, 9, 1)]
    assert [tuple(one.weight.shape[:2]) for one in network.enlarge] == [(64, 128), (32, 64)]
    numbers = sum(one.numel() for one in network.parameters())
    convolutions = 81 * 3 * 32 * 2 + 9 * (32 * 64 * 2 + 64 * 128 * 2 + 10 * 128 * 128)
    norms = 2 * (32 * 2 + 64 * 2 + 128 * 11)
    assert numbers == convolutions + norms + 3 == 1_677_635  # + 3: the biases of the last


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 4)])
def test_enlarging_is_a_convolution_of_repeated_pixels(size):
    torch.manual_seed(0)
    layer = Enlarge(3, 2)
    layer.normalise = nn.Identity()
    maps = torch.randn(2, 3, *size)
    repeated = functional.interpolate(maps, scale_factor=2, mode="nearest")
    padded = functional.pad(repeated, (1, 1, 1, 1), mode="reflect")
    wanted = functional.conv2d(padded, layer.weight).relu()
    assert torch.allclose(layer(maps), wanted, atol=1e-5)


def test_what_is_enlarged_has_no_checkerboard():
    """Of maps that are the same everywhere, so is what is made of them, at the borders too."""
    torch.manual_seed(0)
    layer = Enlarge(3, 2)
    layer.normalise = nn.Identity()
    found = layer(torch.randn(1, 3, 1, 1).expand(1, 3, 4, 5))
    assert torch.allclose(found, found[..., :1, :1].expand_as(found), atol=1e-6)


def test_each_channel_of_each_picture_is_normalised_by_itself():
    torch.manual_seed(0)
    maps = torch.randn(2, 3, 8, 8) * torch.rand(2, 3, 1, 1) * 9 + 5
    wanted = functional.instance_norm(maps)
    assert torch.allclose(make_norm(3)(maps), wanted, atol=1e-5)
    found = make_norm(3)(maps.contiguous(memory_format=torch.channels_last))
    assert found.is_contiguous(memory_format=torch.channels_last)


@torch.inference_mode()
def test_pictures_of_a_batch_do_not_change_each_other(network):
    pixels = torch.rand(3, 3, 20, 24)
    alone = torch.cat([network(one[None]) for one in pixels])
    assert torch.allclose(network(pixels), alone, atol=1e-5)


@torch.inference_mode()
def test_light_and_contrast_of_a_picture_hardly_matter(network):
    """Instance normalisation after the first layer takes them away."""
    pixels = torch.rand(1, 3, 32, 32) * 0.5
    assert torch.allclose(network(pixels), network(pixels * 1.5 + 0.1), atol=1e-3)


@pytest.mark.parametrize(("width", "blocks"), [(0, 1), (65, 1), (4, 0), (4, 17)])
def test_what_is_no_network_is_refused(width, blocks):
    with pytest.raises(ValueError, match="between 1 and"):
        OnePassConfig(width, blocks)
