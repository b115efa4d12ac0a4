"""The face network of dlib (Davis King, 2017): a face to a point; near points are one person."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIDE = 150  # pixels, the side of the square face
DIMENSIONS = 128
MEAN = (122.782, 117.001, 104.298)  # of the training faces, red, green, blue
# The channels of the residual blocks, in order; where they change, the block halves the grid, and
# so does the last one.
CHANNELS = (32, 32, 32, 64, 64, 64, 64, 128, 128, 128, 256, 256, 256, 256)


class Block(nn.Module):
    """Two convolutions beside a path without any (He et al., 2015)."""

    def __init__(self, inputs: int, outputs: int, halve: bool) -> None:
        super().__init__()
        self.halve = halve
        stride, padding = (2, 0) if halve else (1, 1)
        self.first = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=padding)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.second(F.relu(self.first(x), inplace=True))
        if self.halve:
            x = F.avg_pool2d(x, 2)
            # A convolution without padding may yield one row and column less than the pool.
            y = F.pad(y, (0, x.shape[3] - y.shape[3], 0, x.shape[2] - y.shape[2]))
            x = F.pad(x, (0, 0, 0, 0, 0, y.shape[1] - x.shape[1]))  # more channels, of zeros
        return F.relu(x + y, inplace=True)


class DlibResNet(nn.Module):
    """29 convolutions and a projection.

    dlib scales and shifts the channels behind each convolution; both are folded into it here.
    """

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.stem = nn.Conv2d(3, 32, 7, stride=2)
        inputs = (32, *CHANNELS[:-1])
        last = len(CHANNELS) - 1
        self.blocks = nn.Sequential(
            *(
                Block(before, after, halve=before != after or place == last)
                for place, (before, after) in enumerate(zip(inputs, CHANNELS, strict=True))
            )
        )
        self.project = nn.Linear(256, DIMENSIONS, bias=False)

    def forward(self, faces: Tensor) -> Tensor:
        """(B, 3, 150, 150) RGB in [0, 255] -> (B, 128), as dlib gives it: about 1.4 long."""
        x = (faces - self.mean) / 256
        x = F.max_pool2d(F.relu(self.stem(x), inplace=True), 3, stride=2)  # (B, 32, 35, 35)
        x = self.blocks(x)  # (B, 256, 2, 2)
        points: Tensor = self.project(x.mean(dim=(2, 3)))
        return points

    def convolutions(self) -> list[nn.Conv2d]:
        """From the picture to the projection."""
        return [module for module in self.modules() if isinstance(module, nn.Conv2d)]
