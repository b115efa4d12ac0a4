"""Pictures to the network's square, and its boxes back to the pictures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

GREY = (128, 128, 128)


@dataclass(frozen=True)
class Fit:
    """Where a picture lies on the square: scaled to touch two sides, centred."""

    picture: tuple[int, int]  # width, height in pixels
    inside: tuple[int, int]  # its width and height on the square
    corner: tuple[int, int]  # left, top on the square
    side: int

    @classmethod
    def of(cls, width: int, height: int, side: int) -> "Fit":
        scale = side / max(width, height)
        inside = (max(1, round(width * scale)), max(1, round(height * scale)))
        corner = ((side - inside[0]) // 2, (side - inside[1]) // 2)
        return cls((width, height), inside, corner, side)

    def to_square(self, boxes: Tensor) -> Tensor:
        """(N, 4) xyxy in the picture -> on the square."""
        return boxes * self._scale() + torch.tensor(self.corner).repeat(2)

    def to_picture(self, boxes: Tensor) -> Tensor:
        """(N, 4) xyxy on the square -> in the picture, cut at its border."""
        boxes = (boxes - torch.tensor(self.corner).repeat(2)) / self._scale()
        limit = torch.tensor(self.picture, dtype=boxes.dtype).repeat(2)
        return torch.minimum(boxes.clamp(min=0), limit)

    def _scale(self) -> Tensor:
        # by axis: rounding to whole pixels changes a thin side's scale
        (width, height), (inside_width, inside_height) = self.picture, self.inside
        return torch.tensor([inside_width / width, inside_height / height]).repeat(2)


def fit_picture(width: int, height: int, side: int, bordered: bool) -> Fit:
    """Where a picture lies on the square: centred between grey borders, or stretched over it."""
    if bordered:
        return Fit.of(width, height, side)
    return Fit((width, height), (side, side), (0, 0), side)


def letterbox(picture: Image.Image, fit: Fit) -> np.ndarray:
    """The picture on a grey square, (side, side, 3) uint8."""
    square = Image.new("RGB", (fit.side, fit.side), GREY)
    square.paste(picture.resize(fit.inside, Image.Resampling.BILINEAR), fit.corner)
    return np.asarray(square)


def stack(squares: Sequence[np.ndarray], device: torch.device) -> Tensor:
    """B squares -> (B, 3, side, side) in [0, 1], channels last in memory as the pictures are."""
    pixels = torch.from_numpy(np.stack(squares)).to(device)
    return pixels.permute(0, 3, 1, 2).float().div_(255)
