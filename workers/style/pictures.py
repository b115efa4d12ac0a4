"""Pictures as files have them, and as networks see them."""

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from workers.runtime.images import encode_jpeg

# Of ImageNet's pixels, red, green, blue in [0, 1]: as torchvision trained its networks.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def encode_painting(image: Image.Image) -> bytes:
    """The JPEG of an RGB picture with small brush strokes, whose colours stay sharp."""
    return encode_jpeg(image, quality=95, subsampling="4:4:4")


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


def normalise(pixels: Tensor) -> Tensor:
    """RGB (N, 3, H, W) in [0, 1] -> so that each channel is about 0 on average, and 1 wide."""
    mean, deviation = _as_tensors(pixels)
    return (pixels - mean) / deviation


def denormalise(picture: Tensor) -> Tensor:
    """The inverse of `normalise`; what is beyond [0, 1] stays so."""
    mean, deviation = _as_tensors(picture)
    return picture * deviation + mean


def _as_tensors(like: Tensor) -> tuple[Tensor, Tensor]:
    return like.new_tensor(MEAN).view(3, 1, 1), like.new_tensor(DEVIATION).view(3, 1, 1)
