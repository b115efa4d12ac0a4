"""YOLOs that two CPU cores train in minutes: batch normalisation, and convolutions as head."""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from workers.detect.yolo_config import YoloConfig
from workers.runtime.efficientnet_lite import DEEP, build_trunk

WIDTHS = (16, 32, 64, 128)  # filters of the stages that halve the picture to a stride of 16
WIDE, NARROW = 256, 128
HEAD = 128  # filters of the convolution before the answers of EfficientNet-Lite0


class ConvBlock(nn.Module):
    """Convolution, batch normalisation, leaky ReLU; with `pool` a 2 x 2 max pool before them."""

    def __init__(self, inputs: int, outputs: int, size: int, pool: bool = False) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(2) if pool else nn.Identity()
        self.conv = nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(self.norm(self.conv(self.pool(x))), 0.1, inplace=True)


def build_small_yolo(config: YoloConfig) -> tuple[nn.Sequential, nn.Sequential]:
    """Eight convolutions, the same for every cell; about 1.3 million parameters.

    (N, 3, side, side) -> (N, 256, S, S) -> (N, B * 5 + C, S, S). The paper's fully connected layers
    see the whole picture, but learn a place in it only from objects that were there: with hundreds
    of pictures, and not ten thousands, they do not generalise.
    """
    trunk = nn.Sequential(
        ConvBlock(3, WIDTHS[0], 3),
        *[ConvBlock(*pair, 3, pool=True) for pair in pairwise(WIDTHS)],
        ConvBlock(WIDTHS[-1], WIDE, 3, pool=True),
        ConvBlock(WIDE, NARROW, 1, pool=config.stride == 32),
        ConvBlock(NARROW, WIDE, 3),
        ConvBlock(WIDE, WIDE, 3),
    )
    return trunk, nn.Sequential(nn.Conv2d(WIDE, config.depth, 1))


def build_efficientnet_lite0(config: YoloConfig) -> tuple[nn.Sequential, nn.Sequential]:
    """The trunk, and two convolutions, of which the first sees the cells around too.

    (N, 3, side, side) -> (N, 112 or 320, S, S) -> (N, B * 5 + C, S, S).
    """
    channels = DEEP[config.stride][-1][-1]
    head = nn.Sequential(ConvBlock(channels, HEAD, 3), nn.Conv2d(HEAD, config.depth, 1))
    return build_trunk(config.stride), head
