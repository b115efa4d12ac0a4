"""YOLOv3-tiny (Redmon and Farhadi, 2018): a picture to boxes on a coarse and a fine grid."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import fuse_conv_bn_eval

SIZE = 416  # pixels, the side of the square picture of the published weights
STRIDE = 32  # pixels of a cell of the coarse grid: every side is a multiple
Anchors = tuple[tuple[int, int], ...]  # width and height in pixels of the square
COARSE_ANCHORS: Anchors = ((81, 82), (135, 169), (344, 319))
# The published weights were trained with (81, 82) on both grids and without (10, 14), whatever
# later copies of yolov3-tiny.cfg say; with (10, 14) every small box comes out half its size.
FINE_ANCHORS: Anchors = ((23, 27), (37, 58), (81, 82))
ANCHORS: Anchors = (*FINE_ANCHORS, *COARSE_ANCHORS)
EPSILON = 1e-6  # Darknet's; torch's default of 1e-5 moves the scores


class ConvBlock(nn.Module):
    """Convolution, batch normalisation, leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, size: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(outputs, eps=EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(self.norm(self.conv(x)), 0.1, inplace=True)

    def fuse(self) -> None:
        """Fold the normalisation into the convolution: the same function, less work."""
        if isinstance(self.norm, nn.BatchNorm2d):
            self.conv = fuse_conv_bn_eval(self.conv, self.norm)
            self.norm = nn.Identity()


class YoloV3Tiny(nn.Module):
    """Convolutions halve the picture to a 13 x 13 grid; a skip connection serves 26 x 26.

    The shapes told are those of the published side of 416 pixels.
    """

    def __init__(self, classes: int = 80, anchors: Anchors = ANCHORS, side: int = SIZE) -> None:
        """Six anchors: three of the fine grid, then three of the coarse one."""
        super().__init__()
        self.classes, self.anchors, self.side = classes, anchors, side
        outputs = 3 * (4 + 1 + classes)  # three anchors: a box, an objectness, the classes
        self.trunk = nn.ModuleList(
            [
                ConvBlock(3, 16, 3),
                ConvBlock(16, 32, 3),
                ConvBlock(32, 64, 3),
                ConvBlock(64, 128, 3),
                ConvBlock(128, 256, 3),
            ]
        )
        self.deep = ConvBlock(256, 512, 3)
        self.wide = ConvBlock(512, 1024, 3)
        self.narrow = ConvBlock(1024, 256, 1)
        self.coarse = nn.Sequential(ConvBlock(256, 512, 3), nn.Conv2d(512, outputs, 1))
        self.lateral = ConvBlock(256, 128, 1)
        self.fine = nn.Sequential(ConvBlock(128 + 256, 256, 3), nn.Conv2d(256, outputs, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, 416, 416) RGB in [0, 1] -> (B, 255, 13, 13), (B, 255, 26, 26), before sigmoid."""
        skip = x
        for block in self.trunk:
            skip = block(x)  # the last one: (B, 256, 26, 26)
            x = F.max_pool2d(skip, 2)
        x = pool_in_place(self.deep(x))  # (B, 512, 13, 13)
        x = self.narrow(self.wide(x))  # (B, 256, 13, 13)
        up = F.interpolate(self.lateral(x), scale_factor=2.0)  # (B, 128, 26, 26)
        return self.coarse(x), self.fine(torch.cat([up, skip], dim=1))

    def predict(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, 416, 416) -> boxes (B, 2535, 4) as xyxy in pixels, scores (B, 2535, classes)."""
        coarse, fine = self(x)
        side = x.shape[-1]
        parts = [decode(coarse, self.anchors[3:], side), decode(fine, self.anchors[:3], side)]
        return torch.cat([boxes for boxes, _ in parts], 1), torch.cat([s for _, s in parts], 1)

    def fuse(self) -> None:
        """Fold every batch normalisation; only for inference."""
        for module in list(self.modules()):
            if isinstance(module, ConvBlock):
                module.fuse()


def pool_in_place(x: Tensor) -> Tensor:
    """A 2 x 2 max pool of stride 1 that keeps the size: Darknet pads right and below."""
    return F.max_pool2d(F.pad(x, (0, 1, 0, 1), value=float("-inf")), 2, stride=1)


def decode(grid: Tensor, anchors: Anchors, side: int) -> tuple[Tensor, Tensor]:
    """(B, 3 * (5 + C), H, W) -> boxes (B, 3HW, 4) in pixels, scores (B, 3HW, C) in [0, 1].

    Paper, section 2.1: centre = sigmoid(t) + cell, size = anchor * exp(t).
    """
    batch, _, height, width = grid.shape
    cells = grid.view(batch, len(anchors), -1, height, width).permute(0, 1, 3, 4, 2)
    rows = torch.arange(height, device=grid.device)[:, None, None]
    columns = torch.arange(width, device=grid.device)[None, :, None]
    offset = torch.cat([columns.expand(height, width, 1), rows.expand(height, width, 1)], dim=2)
    stride = torch.tensor([side / width, side / height], device=grid.device)
    anchor = torch.tensor(anchors, dtype=grid.dtype, device=grid.device)[:, None, None]
    centre = (cells[..., 0:2].sigmoid() + offset) * stride  # (B, 3, H, W, 2)
    half = cells[..., 2:4].exp() * anchor / 2
    boxes = torch.cat([centre - half, centre + half], dim=-1)
    scores = cells[..., 4:5].sigmoid() * cells[..., 5:].sigmoid()
    return boxes.flatten(1, 3), scores.flatten(1, 3)
