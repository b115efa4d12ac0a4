"""The only place where pictures from outside become pixels, and pixels become files again."""

import struct
import zlib
from io import BytesIO

import numpy as np
from PIL import Image, ImageOps

from workers.runtime.run import InvalidInput

MAX_PIXELS = 40_000_000
MAX_JPEG_SIDE = 65_500  # pixels, of libjpeg
FORMATS = ("JPEG", "PNG", "WEBP")

# What Pillow's decoders raise on damaged files; MemoryError must pass.
DAMAGED = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, IndexError)

# Pillow only warns between its limit and twice that; `decode` refuses first, at our own limit.
Image.MAX_IMAGE_PIXELS = None


def decode(data: bytes, max_pixels: int = MAX_PIXELS, paper: str = "white") -> Image.Image:
    """An upright RGB picture without metadata; raises InvalidInput.

    The size is checked before a pixel is decoded. Transparent parts become the colour of the
    paper, an animation its first frame.
    """
    try:
        picture = Image.open(BytesIO(data), formats=FORMATS)
    except DAMAGED as error:
        raise InvalidInput("The file is not a JPEG, PNG or WEBP picture: convert it.") from error
    _check_size(picture, max_pixels)
    try:
        picture.load()
        ImageOps.exif_transpose(picture, in_place=True)
        return _flatten(picture, paper)
    except DAMAGED as error:
        raise InvalidInput(
            "The picture is damaged or incomplete: save it again and upload the new file."
        ) from error


def encode_jpeg(image: Image.Image, quality: int = 90, subsampling: str = "4:2:0") -> bytes:
    """The JPEG file of an RGB picture, with nothing in it but the picture.

    `subsampling`: "4:4:4" keeps the colours as sharp as the brightness.
    Raises InvalidInput if a side has more pixels than such a file can have.
    """
    check_jpeg_size(*image.size)
    bare = Image.new("RGB", image.size)
    bare.paste(image)
    file = BytesIO()
    bare.save(file, "JPEG", quality=quality, subsampling=subsampling)
    return file.getvalue()


def encode_png(image: Image.Image) -> bytes:
    """The PNG file of a picture of any mode, which keeps every pixel as it is."""
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def check_jpeg_size(width: int, height: int) -> None:
    """Raises InvalidInput if a side has more pixels than a JPEG can have."""
    if max(width, height) > MAX_JPEG_SIDE:
        raise InvalidInput(
            f"A picture of {width} x {height} pixels cannot be drawn on: a JPEG has at most "
            f"{MAX_JPEG_SIDE} on a side. Make it smaller, or ask for no drawing."
        )


def _check_size(picture: Image.Image, max_pixels: int) -> None:
    frames = getattr(picture, "n_frames", 1)
    if picture.format == "MPO":  # phones add small copies that are never decoded
        frames = 1
    pixels = picture.width * picture.height * frames
    if pixels > max_pixels:
        size = f"{picture.width} x {picture.height}" + (f" x {frames} frames" * (frames > 1))
        raise InvalidInput(
            f"The picture has {size} = {pixels} pixels, more than {max_pixels}: make it smaller."
        )


def _flatten(picture: Image.Image, paper: str) -> Image.Image:
    """Any mode to RGB, on paper of a colour."""
    if picture.mode.startswith("I"):  # 16 bits of grey, which convert() would clip to 255
        grey = np.asarray(picture).astype(np.int32) >> 8
        return Image.fromarray(grey.clip(0, 255).astype(np.uint8)).convert("RGB")
    if picture.has_transparency_data:
        layer = picture.convert("RGBA")
        plain = Image.new("RGB", layer.size, paper)
        plain.paste(layer, mask=layer.getchannel("A"))
        return plain
    plain = picture.convert("RGB")
    plain.info = {}
    return plain
