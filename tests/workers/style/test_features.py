"""Features are what torchvision's networks see; gradients flow to the pixels."""

import pytest
import torch
from torch import nn
from torchvision.models.vgg import make_layers

from tests.workers.style.networks import draw_convolutions, draw_features
from tests.workers.style.watches import Stop, stop_after
from workers.runtime.pretrained import MissingPretrained
from workers.style import features as features_module
from workers.style.features import Features, load_features, read_convolutions
from workers.style.layers import DEPTHS, list_layers
from workers.style.pictures import normalise

CPU = torch.device("cpu")
# Of each stage: few, and as many as Winograd's convolutions are taken for.
WIDTHS = (8, 16, 128, 128, 16)


def build_theirs(network, convolutions, pooling="max"):
    """torchvision's module, whose ReLUs overwrite what convolutions give."""
    form = [
        size
        for depth, width in zip(DEPTHS[network], WIDTHS, strict=True)
        for size in [*[width] * depth, "M"]
    ]
    theirs = make_layers(form).requires_grad_(False)
    convs = [module for module in theirs if isinstance(module, nn.Conv2d)]
    for module, (weight, bias) in zip(convs, convolutions, strict=True):
        module.weight.copy_(weight)
        module.bias.copy_(bias)
    if pooling == "average":
        theirs = nn.Sequential(
            *(nn.AvgPool2d(2) if isinstance(one, nn.MaxPool2d) else one for one in theirs)
        )
    return theirs


def draw_pixels(height=67, width=90, count=1):
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize("network", ["vgg16", "vgg19"])
@torch.no_grad()
def test_every_layer_is_torchvisions(network, pooling):
    drawn = draw_convolutions(network, widths=WIDTHS)
    theirs, pixels = build_theirs(network, drawn, pooling), draw_pixels(count=2)
    found = Features(network, pooling, drawn).look(pixels, list_layers(network))
    maps = normalise(pixels)
    for name, module in zip(list_layers(network), theirs, strict=True):
        maps = module(maps.clone())  # a ReLU in place spares what came before it
        assert torch.allclose(found[name], maps, rtol=1e-4, atol=1e-4 * maps.abs().max()), name
        assert found[name].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("pooling", ["max", "average"])
def test_gradients_are_torchvisions(pooling):
    drawn = draw_convolutions("vgg16", widths=WIDTHS)
    theirs = build_theirs("vgg16", drawn, pooling)
    ours, others = draw_pixels().requires_grad_(), draw_pixels().requires_grad_()
    found = Features("vgg16", pooling, drawn).look(ours, ["relu1_1", "pool2", "conv5_1"])
    sum(maps.square().mean() for maps in found.values()).backward()
    maps, total = normalise(others), torch.zeros(())
    for name, module in zip(list_layers("vgg16"), theirs, strict=True):
        maps = module(maps.clone())
        if name in found:
            total = total + maps.square().mean()
    total.backward()
    assert (ours.grad - others.grad).abs().max() < 1e-3 * others.grad.abs().max()


@torch.no_grad()
def test_layers_of_the_textbook_are_seen_behind_their_relu_but_for_the_last():
    """Dive into Deep Learning keeps what modules 0, 5, 10, 19, 28 and 25 of VGG19 give.

    Those are convolutions, but the ReLU that follows each one works in place, on what was kept.
    """
    drawn = draw_convolutions("vgg19", widths=WIDTHS)
    book, pixels = build_theirs("vgg19", drawn)[:29], draw_pixels()
    maps, kept = normalise(pixels), {}
    for place, module in enumerate(book):
        maps = module(maps)
        if place in (0, 5, 10, 19, 25, 28):
            kept[place] = maps
    names = dict(
        zip(kept, ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu4_4", "conv5_1"], strict=True)
    )
    found = Features("vgg19", "max", drawn).look(pixels, names.values())
    for place, name in names.items():
        assert torch.allclose(kept[place], found[name], rtol=1e-3, atol=1e-4), name
    assert kept[28].min() < 0


def test_nothing_runs_after_the_deepest_layer_wanted():
    calls: list[None] = []
    found = draw_features().look(
        draw_pixels(), ["conv2_1", "relu1_2"], watch=lambda: calls.append(None)
    )
    assert set(found) == {"conv2_1", "relu1_2"}
    assert len(calls) == 6


@torch.no_grad()
def test_a_convolution_that_is_wanted_is_not_overwritten_by_its_relu():
    found = draw_features().look(draw_pixels(), ["conv3_2", "relu3_2"])
    assert found["conv3_2"].min() < 0
    assert torch.equal(found["conv3_2"].relu(), found["relu3_2"])


@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize("size", [(1, 1), (3, 40), (31, 2)], ids=str)
def test_a_side_of_one_pixel_stays(size, pooling):
    pixels = draw_pixels(*size).requires_grad_()
    last = draw_features(pooling=pooling).look(pixels, ["pool5"])["pool5"]
    assert last.shape[2:] == tuple(max(1, side // 32) for side in size)
    last.sum().backward()
    assert pixels.grad.isfinite().all()


@torch.no_grad()
def test_maps_are_given_as_soon_as_they_are_there():
    features, pixels = draw_features(), draw_pixels()
    calls: list[None] = []
    walk = features.walk(pixels, ["relu1_2", "conv2_1"], watch=lambda: calls.append(None))
    found = features.look(pixels, ["relu1_2", "conv2_1"])
    for name, count in (("relu1_2", 4), ("conv2_1", 6)):
        given, maps = next(walk)
        assert (given, len(calls)) == (name, count)
        assert torch.equal(maps, found[name])
    assert list(walk) == []


@torch.no_grad()
def test_half_the_bits_give_nearly_the_same():
    features, pixels = draw_features(), draw_pixels()
    wanted = ["relu1_1", "conv3_1", "pool4"]
    exact = features.look(pixels, wanted)
    for name, maps in features.look(pixels, wanted, precision="bfloat16").items():
        assert maps.dtype == torch.bfloat16
        assert (maps - exact[name]).abs().mean() < 0.03 * exact[name].abs().mean()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_watch_stops_the_pass_between_layers_forward_and_backward(precision):
    features, pixels = draw_features(), draw_pixels().requires_grad_()
    with pytest.raises(Stop):
        features.look(pixels, ["conv3_1"], precision, stop_after(10))
    for calls in (11, 15, 20):
        last = features.look(pixels, ["conv3_1"], precision, stop_after(calls))["conv3_1"]
        with pytest.raises(Stop):
            last.sum().backward()
        assert pixels.grad is None
    features.look(pixels, ["conv3_1"], precision, stop_after(30))["conv3_1"].sum().backward()


def test_weights_that_were_not_pulled_are_asked_for(tmp_path):
    for network, file in (("vgg16", "vgg16.onnx"), ("vgg19", "vgg19.pth")):
        with pytest.raises(MissingPretrained, match=f"atelier weights pull {file}"):
            load_features(network, "max", tmp_path, CPU)


def test_vgg19_is_read_from_torchvisions_file_and_made_level(tmp_path, monkeypatch):
    theirs = build_theirs("vgg19", draw_convolutions("vgg19", widths=WIDTHS))
    state = {f"features.{name}": value for name, value in theirs.state_dict().items()}
    state |= {"classifier.0.weight": torch.zeros(2, 2), "classifier.0.bias": torch.zeros(2)}
    path = tmp_path / "vgg19.pth"
    torch.save(state, path, _use_new_zipfile_serialization=False)  # as the published file
    monkeypatch.setattr(features_module, "locate", lambda *_: path)
    loaded, pixels = load_features("vgg19", "max", tmp_path, CPU), draw_pixels()
    raw = Features("vgg19", "max", read_convolutions(state))
    with torch.no_grad():
        for name in ("relu1_2", "relu4_4", "pool5"):
            own, other = (one.look(pixels, [name])[name] for one in (loaded, raw))
            assert torch.allclose(own * other.mean(), other * own.mean(), rtol=1e-3, atol=1e-4)
            assert 0.2 < own.mean() < 5
