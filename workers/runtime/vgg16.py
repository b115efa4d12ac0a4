"""The convolutions of VGG16 (Simonyan and Zisserman, 2015), which other networks build upon."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

DEPTHS = (2, 2, 3, 3, 3)  # convolutions of each stage; a 2 x 2 max pool ends it
WIDTHS = (64, 128, 256, 512, 512)  # and their channels
MEAN = (0.48235, 0.45882, 0.40784)  # of ImageNet's pixels: red, green, blue in [0, 1]


class VGG16(nn.Module):
    """Thirteen 3 x 3 convolutions in five stages; 14,714,688 parameters with the paper's widths."""

    def __init__(self, widths: Sequence[int] = WIDTHS, norm: bool = False, border: int = 1) -> None:
        """`norm`: each convolution is followed by batch normalisation, and has no bias.

        `border`: pixels of zeros around the picture that the first convolution sees.
        """
        super().__init__()
        self.stages = nn.ModuleList()
        inputs, padding = 3, border
        for width, depth in zip(widths, DEPTHS, strict=True):
            layers: list[nn.Module] = []
            for _ in range(depth):
                layers += make_convolution(inputs, width, 3, norm, padding)
                inputs, padding = width, 1
            self.stages.append(nn.Sequential(*layers))
        # A last row or column that fills half a window counts too, as in Caffe.
        self.pool = nn.MaxPool2d(2, ceil_mode=True)

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """What each pool gives, from 1/2 to 1/32 of the size, of `normalise`d (N, 3, H, W)."""
        pools: list[Tensor] = []
        for stage in self.stages:
            pixels = self.pool(stage(pixels))
            pools.append(pixels)
        return pools

    def convolutions(self) -> list[nn.Conv2d]:
        """In the order in which they run."""
        return [layer for layer in self.modules() if isinstance(layer, nn.Conv2d)]


def make_convolution(
    inputs: int, outputs: int, size: int, norm: bool, padding: int
) -> list[nn.Module]:
    """A convolution and its ReLU, with batch normalisation between them if `norm`."""
    convolution = nn.Conv2d(inputs, outputs, size, padding=padding, bias=not norm)
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    if convolution.bias is not None:
        nn.init.zeros_(convolution.bias)
    return [convolution, *[nn.BatchNorm2d(outputs)] * norm, nn.ReLU(inplace=True)]


def normalise(pixels: Tensor) -> Tensor:
    """RGB (N, 3, H, W) in [0, 1] -> as VGG16 was trained: without the mean, in steps of 1/255."""
    mean = torch.tensor(MEAN, dtype=pixels.dtype, device=pixels.device)
    return (pixels - mean.view(3, 1, 1)) * 255
