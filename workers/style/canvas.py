"""What one picture is painted on at one size: the content below, the painting where it may be."""

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from workers.style.pictures import denormalise, normalise, to_tensor
from workers.style.transfer_contract import Scale


class Canvas:
    """Pictures here are normalised, (1, 3, H, W)."""

    def __init__(
        self,
        content: Image.Image,
        region: Image.Image | None,
        scale: Scale,
        device: torch.device,
    ) -> None:
        """An RGB content and an "L" region of any size; the picture begins as the content."""
        self.scale = scale
        size = scale.width, scale.height
        self.content = normalise(to_tensor(resize(content, size)).to(device))
        self.region: Tensor | None = None  # (1, 1, H, W) in [0, 1]
        if region is not None:
            self.region = _spread(region, scale).to(device)
        self.picture = nn.Parameter(self.content.clone())

    @torch.no_grad()
    def begin_as(self, picture: Tensor) -> None:
        """As a normalised picture (1, 3, h, w) of any size, made as large."""
        size = self.scale.height, self.scale.width
        if picture.shape[2:] != size:
            picture = functional.interpolate(picture, size, mode="bicubic")
        self.picture.copy_(picture)

    def look(self) -> Tensor:
        """The picture, mixed with the content by the region; gradients flow to `picture`."""
        if self.region is None:
            return self.picture
        return torch.lerp(self.content, self.picture, self.region)

    @torch.no_grad()
    def show(self) -> Tensor:
        """RGB pixels (1, 3, h, w) in [0, 1] at the size that is painted."""
        return denormalise(self.look()).clamp_(0, 1)


def resize(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """To (width, height), smaller or larger, so that no pixel is left out."""
    if image.size == size:
        return image
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def _spread(region: Image.Image, scale: Scale) -> Tensor:
    """(1, 1, h, w) in [0, 1], in which the smallest light dot still leaves a trace."""
    light = to_tensor(region.convert("RGB"))[:, :1]
    size = scale.height, scale.width
    # by area along every side that shrinks: between four pixels others would be left out
    smaller = min(light.shape[2], scale.height), min(light.shape[3], scale.width)
    light = functional.interpolate(light, smaller, mode="area")
    return functional.interpolate(light, size, mode="bilinear")
