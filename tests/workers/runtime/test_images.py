"""Pictures from outside: every kind becomes upright RGB, and no bad one gets far."""

import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from workers.runtime.images import decode, encode_jpeg
from workers.runtime.run import InvalidInput


def save(image: Image.Image, file_format: str, **options: object) -> bytes:
    content = BytesIO()
    image.save(content, file_format, **options)
    return content.getvalue()


def gradient(width: int = 48, height: int = 32) -> Image.Image:
    """Dark on the left, light on the right."""
    row = np.linspace(0, 255, width).astype(np.uint8)
    return Image.fromarray(np.tile(row, (height, 1))).convert("RGB")


def png_chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def png_bomb(width: int, height: int) -> bytes:
    """A 1-bit PNG whose rows of zeros pack to next to nothing."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((width + 7) // 8 + 1) * height, 9)
    chunks = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", rows) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_the_accepted_formats_become_rgb(file_format):
    picture = decode(save(gradient(), file_format))
    assert (picture.mode, picture.size) == ("RGB", (48, 32))
    assert np.abs(np.asarray(picture).astype(int) - np.asarray(gradient())).mean() < 3


@pytest.mark.parametrize("file_format", ["GIF", "BMP", "TIFF", "PPM", "ICO"])
def test_other_formats_are_refused_with_the_accepted_ones_named(file_format):
    with pytest.raises(InvalidInput, match="JPEG, PNG or WEBP"):
        decode(save(gradient(), file_format))


@pytest.mark.parametrize("data", [b"", b"hello", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"])
def test_what_is_no_picture_is_refused(data):
    with pytest.raises(InvalidInput):
        decode(data)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.95])
def test_a_truncated_picture_is_refused(file_format, part):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = save(Image.fromarray(noise), file_format)
    with pytest.raises(InvalidInput):
        decode(data[: int(len(data) * part)])


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # Pillow mentions damaged EXIF, goes on
@settings(max_examples=300)
@given(
    file_format=st.sampled_from(["JPEG", "PNG", "WEBP"]),
    place=st.floats(0, 1, exclude_max=True),
    junk=st.binary(min_size=1, max_size=40),
)
def test_damage_anywhere_either_decodes_or_is_invalid_input(file_format, place, junk):
    exif = Image.Exif()
    exif[0x0112] = 6
    data = bytearray(save(gradient(), file_format, exif=exif))
    start = int(len(data) * place)
    data[start : start + len(junk)] = junk
    try:
        picture = decode(bytes(data))
    except InvalidInput:
        return
    assert picture.mode == "RGB"


def test_a_small_file_with_169_million_pixels_is_refused_without_decoding(monkeypatch):
    bomb = png_bomb(13_000, 13_000)
    assert len(bomb) < 25_000

    def explode(*_: object) -> None:
        raise AssertionError("the bomb was decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", explode)
    with pytest.raises(InvalidInput, match="13000 x 13000 = 169000000 pixels, more than 40000000"):
        decode(bomb)


def test_the_limit_itself_is_allowed():
    assert decode(save(gradient(100, 50), "PNG"), max_pixels=5000).size == (100, 50)
    with pytest.raises(InvalidInput, match="make it smaller"):
        decode(save(gradient(100, 51), "PNG"), max_pixels=5000)


@pytest.mark.parametrize("file_format", ["PNG", "WEBP"])
def test_the_frames_of_an_animation_count(file_format):
    red, blue = Image.new("RGB", (50, 50), "red"), Image.new("RGB", (50, 50), "blue")
    data = save(red, file_format, save_all=True, append_images=[blue, red, blue])
    with pytest.raises(InvalidInput, match="50 x 50 x 4 frames = 10000 pixels"):
        decode(data, max_pixels=9999)


@pytest.mark.parametrize("file_format", ["PNG", "WEBP"])
def test_an_animation_is_its_first_frame(file_format):
    red, blue = Image.new("RGB", (50, 50), "red"), Image.new("RGB", (50, 50), "blue")
    data = save(red, file_format, save_all=True, append_images=[blue])
    red_part, _, blue_part = decode(data).getpixel((25, 25))
    assert red_part > 250
    assert blue_part < 5


def test_the_small_copies_in_a_phones_picture_do_not_count():
    data = save(gradient(), "MPO", save_all=True, append_images=[gradient(), gradient()])
    assert decode(data, max_pixels=48 * 32).size == (48, 32)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_rotated_picture_is_stood_upright(file_format, orientation):
    turned = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,  # the camera lay on its left side
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    upright = gradient()
    stored = upright if turned is None else upright.transpose(turned)
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = decode(save(stored, file_format, exif=exif, quality=95))
    assert picture.size == upright.size
    assert np.abs(np.asarray(picture).astype(int) - np.asarray(upright)).mean() < 3


def test_transparent_parts_become_white():
    clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    half = Image.new("RGBA", (4, 4), (0, 0, 0, 128))
    assert decode(save(clear, "PNG")).getpixel((0, 0)) == (255, 255, 255)
    assert decode(save(half, "PNG")).getpixel((0, 0)) == (127, 127, 127)


@pytest.mark.parametrize(
    ("mode", "color"), [("LA", (200, 0)), ("P", 0), ("L", 0), ("RGB", (0, 0, 0))]
)
def test_every_way_to_say_transparent_becomes_white(mode, color):
    image = Image.new(mode, (4, 4), color)
    options = {} if mode == "LA" else {"transparency": color}
    assert decode(save(image, "PNG", **options)).getpixel((2, 2)) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_black_and_white_grey_and_palette_pictures_become_rgb(mode):
    picture = decode(save(gradient().convert(mode), "PNG"))
    assert picture.mode == "RGB"
    assert picture.getpixel((0, 0)) == (0, 0, 0)
    assert min(picture.getpixel((47, 0))) > 240


def test_cmyk_keeps_its_colours():
    picture = decode(save(Image.new("RGB", (16, 16), (200, 30, 30)).convert("CMYK"), "JPEG"))
    assert picture.mode == "RGB"
    assert np.allclose(picture.getpixel((8, 8)), (200, 30, 30), atol=6)


def test_sixteen_bits_of_grey_are_scaled_not_clipped():
    grey = np.array([[0, 0x1234, 0x8000, 0xFFFF]], dtype=np.uint16)
    picture = decode(save(Image.fromarray(grey), "PNG"))
    assert np.asarray(picture)[0, :, 0].tolist() == [0, 0x12, 0x80, 0xFF]


@pytest.mark.parametrize("size", [(1, 1), (1, 10_000), (10_000, 1)])
def test_thin_pictures_are_pictures(size):
    assert decode(save(Image.new("RGB", size, "green"), "PNG")).size == size


def test_a_decoded_picture_carries_no_metadata():
    text = PngInfo()
    text.add_text("Author", "Ann")
    picture = decode(save(gradient(), "PNG", pnginfo=text, dpi=(300, 300)))
    assert picture.info == {}


def test_an_encoded_picture_is_a_jpeg_with_nothing_else_in_it():
    exif = Image.Exif()
    exif[0x010F] = "SecretCamera"
    data = save(gradient(), "JPEG", exif=exif, comment=b"SecretComment", icc_profile=b"SecretICC")
    stored = encode_jpeg(Image.open(BytesIO(data)))
    assert b"Secret" not in stored
    assert Image.open(BytesIO(stored)).getexif() == {}
    assert decode(stored).size == (48, 32)


@pytest.mark.parametrize("size", [(65_501, 1), (1, 70_000)])
def test_what_no_jpeg_can_hold_is_refused(size):
    assert decode(encode_jpeg(Image.new("RGB", (65_500, 1)))).size == (65_500, 1)
    with pytest.raises(InvalidInput, match=f"{size[0]} x {size[1]}.*65500"):
        encode_jpeg(Image.new("RGB", size))
