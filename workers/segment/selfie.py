"""MediaPipe's Selfie Segmentation (Google, 2020): a small network that cuts people out."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIDE = 256  # pixels, of the square picture
NAMES = ("background", "person")  # the classes, in the order of their scores


class Separable(nn.Module):
    """The inverted residual of MobileNetV3 (Howard et al., 2019), its normalisation folded in.

    A convolution widens to `width` channels, one for each channel alone looks around, and the
    last one narrows. The input is added where the shapes allow it.
    """

    def __init__(self, inputs: int, width: int, outputs: int, *, hard: bool, around: int) -> None:
        """`around` is the side of the middle kernel; `hard`: h-swish instead of ReLU."""
        super().__init__()
        self.activate = F.hardswish if hard else F.relu
        self.widen = nn.Conv2d(inputs, width, 1)
        self.look = nn.Conv2d(width, width, around, groups=width)
