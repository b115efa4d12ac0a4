"""The only place where files from outside become masks: indices, never colours that look alike."""

from io import BytesIO

import numpy as np
from PIL import Image, ImageOps

from workers.runtime.images import DAMAGED, MAX_PIXELS
from workers.runtime.run import InvalidInput
from workers.segment.classes import Classes
from workers.segment.metrics import VOID

INDEXED = ("P", "L", "1")  # modes of Pillow whose pixels are indices


def decode_mask(data: bytes, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """The indices (H, W) uint8 of a PNG with a palette, or of a grey one whose greys they are.

    The size is checked before a pixel is decoded. Raises InvalidInput, also for masks of colours,
    of 16 bits or with a channel of transparency.
    """
    try:
        picture = Image.open(BytesIO(data), formats=["PNG"])
    except DAMAGED as error:
        raise InvalidInput("The mask is not a PNG: masks lose their indices in others.") from error
    width, height = picture.size
    if width * height > max_pixels:
        raise InvalidInput(f"The mask has {width} x {height} pixels, more than {max_pixels}.")
    if picture.mode not in INDEXED:
        raise InvalidInput(
            f"The mask has colours, transparency or 16 bits ({picture.mode}): save it as a PNG "
            "with a palette, or of 8 bits of grey, whose values are the classes."
        )
    try:
        picture.load()
        ImageOps.exif_transpose(picture, in_place=True)  # as its picture is
    except DAMAGED as error:
        raise InvalidInput("The mask is damaged or incomplete: save it again.") from error
    return np.array(picture, np.uint8)


def to_classes(indices: np.ndarray, classes: Classes) -> np.ndarray:
    """Indices (H, W) of a file as classes: VOID for all that are void. Raises InvalidInput."""
    table = np.full(256, -1, np.int16)
    table[: len(classes)] = np.arange(len(classes))
    table[list(classes.void)] = VOID
    found = np.flatnonzero(np.bincount(indices.ravel(), minlength=256))
    unknown = [int(index) for index in found if table[index] < 0]
    if unknown:
        raise InvalidInput(
            f"The mask has the index {unknown[0]}, but there are {len(classes)} classes, and the "
            f"void ones are {sorted(classes.void)}. Greys that only look like classes must become "
            "0, 1, 2 and so on."
        )
    shown: np.ndarray = table.astype(np.uint8)[indices]
    return shown
