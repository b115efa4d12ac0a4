"""The three networks of MTCNN (Zhang et al., 2016): propose windows, refine them, place landmarks.

Layers are named as in the published files. Each network answers with the probability of a face
and with offsets: how far the left, top, right and bottom of the face lie from those of the
window, in widths and heights of the window.
"""

from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from shared.weights import locate

Network = TypeVar("Network", bound=nn.Module)


class ProposalNet(nn.Module):
    """P-Net: looks at every window of 12 x 12 pixels, 2 apart (section II.B)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 10, 3)
        self.prelu1 = nn.PReLU(10)
        self.pool1 = nn.MaxPool2d(2, 2, ceil_mode=True)
        self.conv2 = nn.Conv2d(10, 16, 3)
        self.prelu2 = nn.PReLU(16)
        self.conv3 = nn.Conv2d(16, 32, 3)
        self.prelu3 = nn.PReLU(32)
        self.conv4_1 = nn.Conv2d(32, 2, 1)
        self.conv4_2 = nn.Conv2d(32, 4, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, H, W) in [-1, 1] -> scores (B, H', W') in [0, 1], offsets (B, 4, H', W').

        H' is about H / 2 - 5; H and W must be at least 12.
        """
        x = self.pool1(self.prelu1(self.conv1(x)))  # (B, 10, (H - 2) / 2, (W - 2) / 2)
        x = self.prelu2(self.conv2(x))
        x = self.prelu3(self.conv3(x))  # (B, 32, H', W')
        return face_probability(self.conv4_1(x)), self.conv4_2(x)


class RefineNet(nn.Module):
    """R-Net: a closer look at windows of 24 x 24 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 28, 3)
        self.prelu1 = nn.PReLU(28)
        self.pool1 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv2 = nn.Conv2d(28, 48, 3)
        self.prelu2 = nn.PReLU(48)
        self.pool2 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv3 = nn.Conv2d(48, 64, 2)
        self.prelu3 = nn.PReLU(64)
        self.dense4 = nn.Linear(64 * 3 * 3, 128)
        self.prelu4 = nn.PReLU(128)
        self.dense5_1 = nn.Linear(128, 2)
        self.dense5_2 = nn.Linear(128, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, 24, 24) in [-1, 1] -> scores (B,) in [0, 1], offsets (B, 4)."""
        x = self.pool1(self.prelu1(self.conv1(x)))  # (B, 28, 11, 11)
        x = self.pool2(self.prelu2(self.conv2(x)))  # (B, 48, 4, 4)
        x = self.prelu3(self.conv3(x))  # (B, 64, 3, 3)
        x = self.prelu4(self.dense4(flatten_by_column(x)))
        return face_probability(self.dense5_1(x)), self.dense5_2(x)


class OutputNet(nn.Module):
    """O-Net: the last word on windows of 48 x 48 pixels, and five landmarks."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 3)
        self.prelu1 = nn.PReLU(32)
        self.pool1 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv2 = nn.Conv2d(32, 64, 3)
        self.prelu2 = nn.PReLU(64)
        self.pool2 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv3 = nn.Conv2d(64, 64, 3)
        self.prelu3 = nn.PReLU(64)
        self.pool3 = nn.MaxPool2d(2, 2, ceil_mode=True)
        self.conv4 = nn.Conv2d(64, 128, 2)
        self.prelu4 = nn.PReLU(128)
        self.dense5 = nn.Linear(128 * 3 * 3, 256)
        self.prelu5 = nn.PReLU(256)
        self.dense6_1 = nn.Linear(256, 2)
        self.dense6_2 = nn.Linear(256, 4)
        self.dense6_3 = nn.Linear(256, 10)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, 3, 48, 48) in [-1, 1] -> scores (B,), offsets (B, 4), landmarks (B, 5, 2).

        A landmark is x, y in widths and heights of the window from its left top corner.
        """
        x = self.pool1(self.prelu1(self.conv1(x)))  # (B, 32, 23, 23)
        x = self.pool2(self.prelu2(self.conv2(x)))  # (B, 64, 10, 10)
        x = self.pool3(self.prelu3(self.conv3(x)))  # (B, 64, 4, 4)
        x = self.prelu4(self.conv4(x))  # (B, 128, 3, 3)
        x = self.prelu5(self.dense5(flatten_by_column(x)))
        landmarks = self.dense6_3(x).view(-1, 2, 5).transpose(1, 2)  # the file has all x first
        return face_probability(self.dense6_1(x)), self.dense6_2(x), landmarks


def face_probability(logits: Tensor) -> Tensor:
    """(B, 2, ...) for no face and face -> (B, ...) in [0, 1]."""
    return logits.softmax(dim=1)[:, 1]


def flatten_by_column(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, W * H * C): the order of the Caffe original, which was fed transposed."""
    return x.permute(0, 3, 2, 1).flatten(1)


def load(network: Network, name: str, weights: Path) -> Network:
    """Fill a network from the pinned file of that name; raises WeightsError."""
    state = torch.load(locate(name, weights), map_location="cpu", weights_only=True)
    network.load_state_dict(state)
    return network.eval()
