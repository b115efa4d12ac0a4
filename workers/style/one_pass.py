"""The network that paints any picture in the one style it has learned, in a single pass."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from workers.style.pictures import normalise

LEAST_SIDE = 16  # pixels: what is a quarter of it can still be mirrored at its border
MOST_WIDTH, MOST_BLOCKS = 64, 16


@dataclass(frozen=True)
class OnePassConfig:
    """What fixes the shapes of the weights."""

    width: int = 32  # channels of the first layer
    blocks: int = 5  # residual blocks

    def __post_init__(self) -> None:
        if not (1 <= self.width <= MOST_WIDTH and 1 <= self.blocks <= MOST_BLOCKS):
            raise ValueError(
                f"A width is between 1 and {MOST_WIDTH}, blocks between 1 and {MOST_BLOCKS}."
            )


class OnePass(nn.Module):
    """Johnson, Alahi and Fei-Fei (2016), with instance normalisation (Ulyanov et al., 2016).

    Borders are mirrored, and enlarging repeats pixels before it convolves, which leaves no
    checkerboard (Odena et al., 2016).
    """

    def __init__(self, config: OnePassConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.encoder = nn.Sequential(
            *make_layer(3, width, 9),
            *make_layer(width, 2 * width, 3, stride=2),
            *make_layer(2 * width, 4 * width, 3, stride=2),
        )
        self.blocks = nn.Sequential(*[Block(4 * width) for _ in range(config.blocks)])
        self.enlarge = nn.ModuleList([Enlarge(4 * width, 2 * width), Enlarge(2 * width, width)])
        self.head = make_convolution(width, 3, 9, bias=True)

    def forward(self, pixels: Tensor) -> Tensor:
        """RGB (N, 3, H, W) in [0, 1] -> the same size painted, in [0, 1].

        Sides have LEAST_SIDE pixels or more; they need not be multiples of anything.
        """
        height, width = pixels.shape[2:]
        maps: Tensor = self.blocks(self.encoder(normalise(pixels)))
        # a side of 7 was halved to 4, and 8 is cut to 7 again
        maps = self.enlarge[0](maps)[..., : (height + 1) // 2, : (width + 1) // 2]
        maps = self.enlarge[1](maps)[..., :height, :width]
        painted: Tensor = self.head(maps).sigmoid()
        return painted


class Block(nn.Module):
    """Two convolutions whose result is added to what they got."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *make_layer(channels, channels, 3), *make_layer(channels, channels, 3)[:2]
        )

    def forward(self, maps: Tensor) -> Tensor:
        found: Tensor = self.layers(maps)
        return found.add_(maps)


class Enlarge(nn.Module):
    """Each pixel becomes 2 x 2, which a 3 x 3 convolution then sees; normalisation and ReLU.

    Of nine repeated pixels a convolution sees four that differ: it sums up the weights of those
    that are the same instead, and never makes the larger map.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, 3, 3))
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")
        self.normalise = make_norm(outputs)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, 2 H, 2 W)."""
        # no name here keeps a larger map that is no longer needed: they are most of a pass's memory
        larger = functional.pixel_shuffle(self._convolve(maps), 2)
        larger = larger.contiguous(memory_format=torch.channels_last)
        return functional.relu(self.normalise(larger), inplace=True)

    def _convolve(self, maps: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, 4 outputs, H, W): each channel's four corners, one by one."""
        count, height, width = maps.shape[0], *maps.shape[2:]
        found = functional.conv2d(
            functional.pad(maps, (1, 1, 1, 1), mode="replicate"), self._fold()
        )
        found = found.view(count, 2, 2, -1, height + 1, width + 1)
        # what is above left of a pixel's middle begins one row and one column before what is below
        corners = [
            found[:, down, right, :, down : down + height, right : right + width]
            for down in (0, 1)
            for right in (0, 1)
        ]
        return torch.stack(corners, dim=2).flatten(1, 2)

    def _fold(self) -> Tensor:
        """(4 outputs, inputs, 2, 2): of the corners above left, above right, below left, right."""
        rows = fold(self.weight, dim=2)
        return torch.cat([one for row in rows for one in fold(row, dim=3)])


def fold(weight: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Three weights along a side as two: (of what is before the middle, of what is after it)."""
    first, middle, last = weight.chunk(3, dim)
    return torch.cat([first, middle + last], dim), torch.cat([first + middle, last], dim)


def make_layer(inputs: int, outputs: int, size: int, stride: int = 1) -> list[nn.Module]:
    """A convolution, normalisation and ReLU."""
    convolution = make_convolution(inputs, outputs, size, stride)
    return [convolution, make_norm(outputs), nn.ReLU(inplace=True)]


def make_convolution(
    inputs: int, outputs: int, size: int, stride: int = 1, bias: bool = False
) -> nn.Conv2d:
    """Without a bias, which normalisation would take away again."""
    convolution = nn.Conv2d(
        inputs, outputs, size, stride, size // 2, bias=bias, padding_mode="reflect"
    )
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    if convolution.bias is not None:
        nn.init.zeros_(convolution.bias)
    return convolution


def make_norm(channels: int) -> nn.Module:
    """Instance normalisation: groups of one channel, for that keeps channels last, and is fast."""
    return nn.GroupNorm(channels, channels)
