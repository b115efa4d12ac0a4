"""NanoDet-g (RangiLyu, 2021): an anchor-free detector; a picture to boxes on three grids."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIZE = 416  # pixels, the side of the square picture
STRIDES = (8, 16, 32)  # pixels a cell of each grid is wide
BINS = 11  # a side of a box lies 0 to 10 strides from the middle of its cell
# of ImageNet's pictures, red, green, blue in [0, 255], as the network was trained
MEAN = (123.675, 116.28, 103.53)
DEVIATION = (58.395, 57.12, 57.375)


class Convolution(nn.Module):
    """A convolution with a bias, in which batch normalisation is folded, and a leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, stride, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(self.conv(x), 0.1, inplace=True)


class DenseBlock(nn.Module):
    """Two convolutions to half the channels each; the answer is both of them side by side."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = Convolution(channels, channels // 2)
        self.second = Convolution(channels // 2, channels // 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return torch.cat([self.second(x), x], dim=1)


class CspStage(nn.Module):
    """A cross-stage partial stage (Wang et al., 2019): what goes in also goes round the blocks."""

    def __init__(self, channels: int, blocks: int, stride: int) -> None:
        """Gives twice the channels it takes."""
        super().__init__()
        self.enter = Convolution(channels, channels, stride)
        self.blocks = nn.Sequential(*(DenseBlock(channels) for _ in range(blocks)))
        self.leave = Convolution(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        return torch.cat([self.leave(self.blocks(x)), x], dim=1)


class Pyramid(nn.Module):
    """The path aggregation of PANet (Liu et al., 2018), with sums in place of convolutions."""

    def __init__(self, inputs: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(nn.Conv2d(channels, outputs, 1) for channels in inputs)

    def forward(self, grids: list[Tensor]) -> list[Tensor]:
        """Grids from fine to coarse, each half the one before -> as many, of `outputs` channels."""
        levels = [lateral(grid) for lateral, grid in zip(self.laterals, grids, strict=True)]
        for fine in reversed(range(len(levels) - 1)):
            levels[fine] = levels[fine] + resize(levels[fine + 1], 2.0)
        for coarse in range(1, len(levels)):
            levels[coarse] = levels[coarse] + resize(levels[coarse - 1], 0.5)
        return levels


class NanoDet(nn.Module):
    """A CSP backbone, a pyramid of three grids, and a head of two convolutions on each."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, classes: int = 80) -> None:
        super().__init__()
        self.classes = classes
        for name, values in (("mean", MEAN), ("deviation", DEVIATION)):
            scaled = torch.tensor(values).view(3, 1, 1) / 255
            self.register_buffer(name, scaled, persistent=False)
        self.stem = Convolution(3, 32, stride=2)
        self.shallow = CspStage(32, blocks=1, stride=1)
        self.stages = nn.ModuleList(
            [
                CspStage(64, blocks=2, stride=2),
                CspStage(128, blocks=2, stride=2),
                CspStage(256, blocks=3, stride=2),
            ]
        )
        self.neck = Pyramid((128, 256, 512), 128)
        outputs = classes + 4 * BINS
        self.heads = nn.ModuleList(
            nn.Sequential(Convolution(128, 128), nn.Conv2d(128, outputs, 1)) for _ in STRIDES
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, 416, 416) RGB in [0, 1] -> (B, 124, S, S), S = 52, 26, 13, before sigmoid.

        Any height and width that 32 divides will do.
        """
        x = self.stem((x - self.mean) / self.deviation)
        x = self.shallow(F.max_pool2d(x, 3, stride=2, padding=1))  # (B, 64, 104, 104)
        grids = []
        for stage in self.stages:
            x = stage(x)
            grids.append(x)
        return [head(grid) for head, grid in zip(self.heads, self.neck(grids), strict=True)]

    def predict(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, 416, 416) -> boxes (B, 3549, 4) as xyxy in pixels, scores (B, 3549, classes)."""
        parts = [
            decode(grid, self.classes, stride)
            for grid, stride in zip(self(x), STRIDES, strict=True)
        ]
        return torch.cat([boxes for boxes, _ in parts], 1), torch.cat([s for _, s in parts], 1)


def resize(x: Tensor, factor: float) -> Tensor:
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)


def decode(grid: Tensor, classes: int, stride: int) -> tuple[Tensor, Tensor]:
    """(B, C + 4 * 11, H, W) -> boxes (B, HW, 4) in pixels, scores (B, HW, C) in [0, 1].

    Generalized Focal Loss (Li et al., 2020), section 3.2: the distance from the middle of the cell
    to each side of the box is the mean of a distribution over whole strides. A score says at once
    how likely the class is and how well the box fits.
    """
    height, width = grid.shape[2:]
    cells = grid.flatten(2).transpose(1, 2)  # (B, HW, C + 44), row by row
    bins = cells[..., classes:].view(*cells.shape[:2], 4, BINS).softmax(dim=3)
    reach = bins @ torch.arange(BINS, dtype=grid.dtype, device=grid.device) * stride  # (B, HW, 4)
    rows = (torch.arange(height, dtype=grid.dtype, device=grid.device) + 0.5) * stride
    columns = (torch.arange(width, dtype=grid.dtype, device=grid.device) + 0.5) * stride
    middle = torch.stack([columns.repeat(height), rows.repeat_interleave(width)], dim=1)
    boxes = torch.cat([middle - reach[..., :2], middle + reach[..., 2:]], dim=2)
    return boxes, cells[..., :classes].sigmoid()
