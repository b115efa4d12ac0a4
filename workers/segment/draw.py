"""Masks as files and pictures: a PNG with a palette, an overlay, and a legend."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from workers.runtime.images import encode_png
from workers.segment.fields import Colour
from workers.segment.metrics import VOID

VOID_COLOUR: Colour = (224, 224, 192)  # of Pascal VOC
MAX_NAME = 40  # characters of a name in a legend


def write_mask(mask: np.ndarray, palette: Sequence[Colour]) -> bytes:
    """The PNG of classes (H, W) uint8: its indices are the classes, its colours the palette."""
    image = Image.fromarray(mask)
    image.putpalette(_fill_palette(palette).ravel().tolist())
    return encode_png(image)


def overlay(
    picture: Image.Image,
    mask: np.ndarray,
    palette: Sequence[Colour],
    opacity: float = 0.5,
    background: int | None = None,
) -> Image.Image:
    """An RGB picture under the colours of its classes (H, W); VOID and `background` stay clear."""
    alpha = np.full(256, round(opacity * 255), np.uint8)
    alpha[VOID] = 0
    if background is not None:
        alpha[background] = 0
    colours = Image.fromarray(_fill_palette(palette)[mask])
    return Image.composite(colours, picture, Image.fromarray(alpha[mask]))


def draw_legend(names: Sequence[str], palette: Sequence[Colour]) -> Image.Image:
    """A row for each class: its colour and name."""
    labels = [name if len(name) <= MAX_NAME else name[: MAX_NAME - 1] + "\u2026" for name in names]
    font = load_font(16)
    row, gap = 28, 6  # pixels
    width = round(max(font.getlength(label) for label in labels)) + row + 2 * gap
    legend = Image.new("RGB", (width, row * len(labels) + gap), "white")
    pen = ImageDraw.Draw(legend)
    for place, (label, colour) in enumerate(zip(labels, palette, strict=True)):
        top = place * row + gap
        pen.rectangle((gap, top, row, top + row - 2 * gap), fill=colour, outline="black")
        pen.text((row + gap, top + row / 2 - gap), label, fill="black", font=font, anchor="lm")
    return legend


def _fill_palette(palette: Sequence[Colour]) -> np.ndarray:
    """(256, 3) uint8: black where there is no class."""
    colours = np.zeros((256, 3), np.uint8)
    colours[: len(palette)] = palette
    colours[VOID] = VOID_COLOUR
    return colours


@lru_cache
def load_font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)  # Pillow's wheels have FreeType
    return font
