"""Brightness from one picture, colours from another (Gatys et al., 2016, arXiv:1606.05897)."""

import numpy as np
from PIL import Image

WEIGHTS = np.array([0.299, 0.587, 0.114], np.float32)  # of red, green, blue in Y (ITU-R BT.601)


def keep_colours(painted: Image.Image, content: Image.Image) -> Image.Image:
    """The brightness of `painted` with the colours of `content`; both RGB, of any sizes.

    It is as large as `painted`. Where a colour cannot be so light or so dark, it fades, for the
    brightness is what the style is in.
    """
    found = _read(content.resize(painted.size, Image.Resampling.LANCZOS))
    brightness = (_read(painted) @ WEIGHTS)[..., np.newaxis]  # (H, W, 1)
    hue = found - (found @ WEIGHTS)[..., np.newaxis]  # (H, W, 3), whose brightness is 0
    room = np.where(hue > 0, 1 - brightness, brightness)
    share = np.minimum(1, room / np.maximum(np.abs(hue), 1e-6)).min(axis=2, keepdims=True)
    return _write(brightness + share * hue)


def match_brightness(style: Image.Image, content: Image.Image) -> Image.Image:
    """The RGB `style` in grey, with the mean and the contrast of the brightness of `content`."""
    own, wanted = (np.asarray(one.convert("L"), np.float32) / 255 for one in (style, content))
    contrast = wanted.std() / max(float(own.std()), 1 / 255)  # of one grey there is none to raise
    return _write((own - own.mean()) * contrast + wanted.mean()).convert("RGB")


def _read(image: Image.Image) -> np.ndarray:
    """(H, W, 3) float32 in [0, 1]."""
    return np.asarray(image, np.float32) / 255


def _write(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray((pixels.clip(0, 1) * 255).round().astype(np.uint8))
