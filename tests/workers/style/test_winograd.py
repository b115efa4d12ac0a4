"""Winograd's convolutions are torch's, in fewer multiplications."""

import pytest
import torch
from torch.nn import functional as F

from tests.workers.style.watches import Stop, stop_after
from workers.style import winograd
from workers.style.stops import ignore
from workers.style.winograd import Winograd, is_faster


def draw_layer(inputs, outputs, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(outputs, inputs, 3, 3, generator=generator, dtype=dtype)
    return weight / inputs**0.5, torch.randn(outputs, generator=generator, dtype=dtype)


def run(convolve, pixels, rectify):
    """What it gives and the gradient of a sum of squares, for pixels."""
    pixels = pixels.clone(memory_format=torch.preserve_format).requires_grad_()
    found = convolve(pixels)
    if rectify is not None:
        found = F.relu(found) if rectify else found
    found.square().sum().backward()
    return found, pixels.grad


def check_equal(count, height, width, rectify=True, layout=torch.channels_last):
    weight, bias = draw_layer(3, 5)
    pixels = torch.randn(count, 3, height, width, generator=torch.Generator().manual_seed(1))
    pixels = pixels.to(memory_format=layout)
    layer = Winograd(weight, bias)
    ours = run(lambda seen: layer.convolve(seen, rectify, ignore), pixels, None)
    theirs = run(lambda seen: F.conv2d(seen, weight, bias, padding=1), pixels, rectify)
    for own, other in zip(ours, theirs, strict=True):
        assert (own - other).abs().max() < 1e-5 * other.abs().max().clamp(min=1)
    assert ours[0].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("rectify", [False, True])
def test_all_small_sizes_equal_torchs(rectify):
    for side in range(1, 41):
        check_equal(1, side, 41 - side, rectify)


@pytest.mark.parametrize(
    ("count", "height", "width"),
    [(2, 39, 17), (3, 1, 1), (5, 33, 70), (1, 9, 1030), (200, 5, 6)],
    ids=str,
)
def test_batches_and_several_blocks_equal_torchs(count, height, width):
    check_equal(count, height, width)


def test_pixels_may_lie_in_planes():
    check_equal(2, 13, 22, layout=torch.contiguous_format)


@pytest.mark.parametrize("tiles", [1, 3, 1000])
def test_the_size_of_blocks_changes_nothing(tiles, monkeypatch):
    monkeypatch.setattr(winograd, "TILES", tiles)
    check_equal(2, 21, 30)


@pytest.mark.parametrize("rectify", [False, True])
def test_the_gradient_is_right(rectify):
    weight, bias = draw_layer(2, 3, torch.float64)
    layer = Winograd(weight, bias)
    pixels = torch.randn(1, 2, 5, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: layer.convolve(x, rectify, ignore), pixels)


def test_errors_are_those_of_rounding_with_many_channels():
    weight, bias = draw_layer(256, 256)
    pixels = torch.randn(1, 256, 24, 24).relu()
    exact = F.conv2d(pixels.double(), weight.double(), bias.double(), padding=1)
    found = Winograd(weight, bias).convolve(pixels, False, ignore)
    assert (found - exact).abs().max() < 1e-5 * exact.abs().max()


def test_a_watch_stops_it_between_blocks_forward_and_backward():
    layer = Winograd(*draw_layer(3, 5))
    pixels = torch.zeros(1, 3, 100, 1000, requires_grad=True)
    calls: list[None] = []
    layer.convolve(pixels, True, lambda: calls.append(None)).sum().backward()
    assert len(calls) > 40  # for 25 rows of 250 tiles, twice
    pixels.grad = None
    with pytest.raises(Stop):
        layer.convolve(pixels, True, stop_after(len(calls) // 2 - 1))
    found = layer.convolve(pixels, True, stop_after(len(calls) - 1))
    with pytest.raises(Stop):
        found.sum().backward()
    assert pixels.grad is None


@pytest.mark.parametrize(
    ("channels", "size", "faster"),
    [(3, 450, False), (64, 450, True), (64, 16, False), (512, 8, True), (512, 4, False)],
)
def test_few_channels_and_small_maps_are_left_to_torch(channels, size, faster):
    filters = torch.Size([max(64, channels), channels, 3, 3])
    assert is_faster(filters, torch.Size([1, channels, size, size])) is faster
