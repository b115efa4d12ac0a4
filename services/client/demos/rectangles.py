"""Pictures of coloured rectangles on noise, labelled as YOLO has it: a data set without files."""

import struct
import zipfile
import zlib
from dataclasses import dataclass
from io import BytesIO
from random import Random

SIDE = 64  # pixels
COLOURS = {"blue": (50, 90, 240), "red": (230, 40, 40), "yellow": (240, 220, 40)}
SMALLEST, LARGEST = 14, 30  # pixels of a rectangle's side


@dataclass(frozen=True)
class Rectangle:
    label: str
    left: int  # pixels, as all of it
    top: int
    width: int
    height: int


def draw_rectangle(chance: Random) -> tuple[bytes, Rectangle]:
    """(a PNG of SIDE x SIDE pixels, what is on it)."""
    width, height = chance.randint(SMALLEST, LARGEST), chance.randint(SMALLEST, LARGEST)
    left, top = chance.randrange(SIDE - width), chance.randrange(SIDE - height)
    drawn = Rectangle(chance.choice(list(COLOURS)), left, top, width, height)
    rows = [bytearray(value // 2 for value in chance.randbytes(3 * SIDE)) for _ in range(SIDE)]
    for row in rows[top : top + height]:
        row[3 * left : 3 * (left + width)] = bytes(COLOURS[drawn.label]) * width
    return write_png(rows), drawn


def write_png(rows: list[bytearray], channels: int = 3) -> bytes:
    """A PNG from rows of red, green and blue, a byte each; or of one channel, grey."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    kind = {1: 0, 3: 2}[channels]
    header = struct.pack(">IIBBBBB", len(rows[0]) // channels, len(rows), 8, kind, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))  # 0: rows are not filtered
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", pixels), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def pack_rectangles(count: int, seed: int) -> bytes:
    """A zip of so many labelled pictures, always the same for a seed."""
    chance, content = Random(seed), BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(zipfile.ZipInfo("classes.txt"), "\n".join(COLOURS))
        for number in range(count):
            picture, drawn = draw_rectangle(chance)
            archive.writestr(zipfile.ZipInfo(f"images/{number:03}.png"), picture)
            archive.writestr(zipfile.ZipInfo(f"labels/{number:03}.txt"), describe(drawn))
    return content.getvalue()


def describe(drawn: Rectangle) -> str:
    """A line of a label file: the class, then the middle and the size as shares of the picture."""
    x, y = drawn.left + drawn.width / 2, drawn.top + drawn.height / 2
    shares = (value / SIDE for value in (x, y, drawn.width, drawn.height))
    return f"{list(COLOURS).index(drawn.label)} " + " ".join(f"{share:.6f}" for share in shares)
