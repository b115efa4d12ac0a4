"""A convolution that is never trained, in the form that is fastest where it runs."""

from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from workers.style.stops import Stop
from workers.style.winograd import Winograd, is_faster

Convolution = tuple[Tensor, Tensor]  # a weight (O, I, 3, 3) and a bias (O,)


class FrozenLayer:
    """A convolution on a border of zeros; forms of its filters are made when they are asked for."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self.weight = weight.to(memory_format=torch.channels_last)
        self.bias = bias

    def convolve(self, maps: Tensor, rectify: bool, watch: Stop) -> Tensor:
        if maps.dtype == torch.bfloat16:
            found = F.conv2d(maps, *self.halved, padding=1)
        elif maps.device.type == "cpu" and is_faster(self.weight.shape, maps.shape):
            return self.winograd.convolve(maps, rectify, watch)
        else:
            found = F.conv2d(maps, self.weight, self.bias, padding=1)
        if not rectify:
            return found
        watch_gradient(found, watch)
        return F.relu_(found)

    @cached_property
    def winograd(self) -> Winograd:
        return Winograd(self.weight, self.bias)

    @cached_property
    def halved(self) -> Convolution:
        return self.weight.to(torch.bfloat16), self.bias.to(torch.bfloat16)


def watch_gradient(maps: Tensor, watch: Stop) -> None:
    """Call it once their gradient is there, on a CPU: elsewhere a pass takes but a moment."""
    if maps.requires_grad and maps.device.type == "cpu":
        maps.register_hook(lambda _: watch())  # type: ignore[no-untyped-call]
