"""Pictures as files have them, and as networks see them."""

import numpy as np
import torch
from PIL import Image
from torch import Tensor


def fit(width: int, height: int, longer: int) -> tuple[int, int]:
    """The size (width, height) of the same shape whose longer side is so long; no side is 0."""
    scale = longer / max(width, height)
    return max(1, round(scale * width)), max(1, round(scale * height))


def to_tensor(image: Image.Image) -> Tensor:
    """An RGB picture as (1, 3, H, W) float32 in [0, 1], channels last."""
    pixels = torch.from_numpy(np.array(image)).unsqueeze(0)  # (1, H, W, 3) uint8
    return pixels.permute(0, 3, 1, 2).float().div_(255)


def to_image(pixels: Tensor) -> Image.Image:
    """RGB (1, 3, H, W) as a picture; what is beyond [0, 1] becomes the nearest of it."""
    levels = pixels.detach()[0].float().clamp(0, 1).mul(255).round().to(torch.uint8)
    return Image.fromarray(levels.permute(1, 2, 0).contiguous().cpu().numpy())
