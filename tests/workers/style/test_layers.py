"""Layers are named as the papers name them."""

import pytest
import torch
from torch import nn
from torchvision.models import vgg16, vgg19

from workers.style.layers import check_layers, count_filters, count_maps, list_layers


def test_vgg16_has_thirteen_convolutions_in_five_stages():
    names = list_layers("vgg16")
    assert names[:6] == ("conv1_1", "relu1_1", "conv1_2", "relu1_2", "pool1", "conv2_1")
    assert names[-3:] == ("conv5_3", "relu5_3", "pool5")
    assert sum(name.startswith("conv") for name in names) == 13


@pytest.mark.parametrize(("network", "build"), [("vgg16", vgg16), ("vgg19", vgg19)])
def test_the_kinds_of_layers_follow_each_other_as_torchvisions(network, build):
    kinds = {nn.Conv2d: "conv", nn.ReLU: "relu", nn.MaxPool2d: "pool"}
    with torch.device("meta"):  # weights are of no interest
        theirs = [kinds[type(module)] for module in build().features]
    assert [name[:4] for name in list_layers(network)] == theirs


def test_maps_of_a_layer_are_counted_by_pixels():
    found = [count_maps(layer) for layer in ("conv1_2", "pool1", "relu3_1", "pool5")]
    assert found == [64, 64 / 4, 256 / 16, 512 / 1024]


def test_filters_are_counted_down_to_the_deepest_layer():
    assert count_filters(("relu2_1", "conv1_1")) == [3 * 64, 64 * 64, 64 * 128]
    with torch.device("meta"):
        theirs = [one for one in vgg19().features if isinstance(one, nn.Conv2d)]
    own = count_filters(("conv5_4",), "vgg19")
    assert own == [one.in_channels * one.out_channels for one in theirs]


def test_a_layer_that_is_not_there_is_named_with_those_that_are():
    check_layers("vgg19", ["conv5_4", "pool1"])
    with pytest.raises(ValueError, match=r"vgg16 has no layer 'conv5_4'. It has conv1_1, .*pool5"):
        check_layers("vgg16", ["relu1_1", "conv5_4"])
