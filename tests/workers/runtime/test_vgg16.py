"""VGG16's convolutions: the weights are ImageNet's, and see what they should."""

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from torchvision.models import vgg16

from shared.weights import locate
from workers.runtime.images import decode
from workers.runtime.vgg16 import VGG16, normalise
from workers.runtime.vgg16_weights import FILE, load_vgg16, read_tensors


@pytest.fixture(scope="module")
def network(weights) -> VGG16:
    loaded = VGG16()
    load_vgg16(loaded, locate(FILE, weights))
    return loaded.eval()


def test_the_convolutions_equal_torchvisions():
    torch.manual_seed(0)
    ours, theirs = VGG16().eval(), vgg16().features.eval()
    layers = [layer for layer in theirs if isinstance(layer, torch.nn.Conv2d)]
    for own, layer in zip(ours.convolutions(), layers, strict=True):
        own.load_state_dict(layer.state_dict())
    assert sum(one.numel() for one in ours.parameters()) == 14_714_688
    pixels = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        assert torch.allclose(ours(pixels)[-1], theirs(pixels), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (33, 64), (65, 31)])
def test_pools_cover_the_whole_picture(size):
    with torch.device("meta"):
        pools = VGG16((1, 1, 1, 1, 1), norm=True)(torch.zeros(2, 3, *size))
    for number, pool in enumerate(pools, start=1):
        assert pool.shape[2:] == tuple(-(-side // 2**number) for side in size)


def test_a_border_is_seen_by_the_first_convolution_alone():
    with torch.device("meta"):
        pools = VGG16((1, 1, 1, 1, 1), border=100)(torch.zeros(1, 3, 26, 26))
    assert [pool.shape[3] for pool in pools] == [112, 56, 28, 14, 7]


# Those of block1_conv1 and block5_conv3 in Keras' VGG16(weights="imagenet").
@pytest.mark.parametrize(
    ("place", "mean", "deviation"), [(0, -0.0024379, 0.2066995), (12, -0.0010819, 0.0084784)]
)
def test_kernels_have_the_published_statistics(network, place, mean, deviation):
    kernel = network.convolutions()[place].weight.double()
    assert kernel.mean().item() == pytest.approx(mean, abs=1e-6)
    assert kernel.std(correction=0).item() == pytest.approx(deviation, abs=1e-6)


def test_the_first_filter_is_the_published_one(network):
    # dumps of VGG_ILSVRC_16_layers.caffemodel begin with these: the first row for blue, a bias
    first = network.convolutions()[0]
    assert first.weight[0, 2, 0].tolist() == pytest.approx([0.42947057, 0.373467, -0.06136011])
    assert first.bias[0].item() == pytest.approx(0.73429835)


def test_the_first_kernel_is_turned_from_blue_green_red(network, weights):
    stored = read_tensors(locate(FILE, weights))
    kernel = stored["functional_1/block1_conv1_1/convolution/ReadVariableOp:0"]
    ours = network.convolutions()[0].weight
    for own, theirs in ((0, 2), (1, 1), (2, 0)):
        assert torch.equal(ours[:, own], kernel[:, theirs])


def test_pixels_are_taken_in_steps_of_one_of_255_without_the_mean():
    pixels = torch.zeros(1, 3, 1, 2)
    pixels[..., 1] = 1
    # the mean of ImageNet in Caffe: 123.68, 116.779 and 103.939 for red, green, blue
    expected = torch.tensor([123, 117, 104.0]).view(3, 1)
    assert torch.allclose(-normalise(pixels)[0, ..., 0], expected, atol=0.01)
    assert torch.allclose(normalise(pixels)[0, ..., 1], 255 - expected, atol=0.01)


@torch.inference_mode()
def test_a_photograph_excites_the_same_channels_as_ever(network, weights):
    """A cat; the numbers are those of torchvision's layers with the same weights."""
    photograph = decode(locate("chelsea.png", weights).read_bytes()).crop((60, 20, 284, 244))
    pixels = torch.from_numpy(np.array(photograph)).permute(2, 0, 1)[None] / 255
    pools = network(normalise(pixels))
    means = [124.78, 279.92, 251.60, 36.974, 4.1500]
    assert [pool.mean().item() for pool in pools] == pytest.approx(means, rel=1e-3)
    strongest = pools[-1][0].amax(dim=(1, 2)).topk(5).indices.tolist()
    assert strongest == [286, 183, 370, 450, 13]


def test_what_is_no_onnx_file_is_refused(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(b"\xff" * 100)
    with pytest.raises(ValueError, match="is no ONNX file"):
        read_tensors(path)


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_a_file_of_another_network_is_refused(tmp_path, kind):
    name = "functional_1/block1_conv1_1/convolution/ReadVariableOp:0"
    tensor = numpy_helper.from_array(np.zeros((64, 3, 3, 1), kind), name)
    path = tmp_path / "net.onnx"
    graph = helper.make_graph([], "net", [], [], [tensor])
    onnx.save(helper.make_model(graph), path)
    with pytest.raises(ValueError, match=r"lacks .*block1_conv1_1.* as torch.float32"):
        load_vgg16(VGG16(), path)
