"""Data sets of pictures and masks that nothing can be learned from: damaged, odd, or lies."""

import json
import struct
import zipfile
import zlib
from io import BytesIO
from typing import Any

from PIL import Image

from tests.e2e.clients import pack
from tests.workers.segment.mask_files import FOLDERS, LISTS, SIZE, make_mask, make_picture, save

EMPTY_ZIP = b"PK\3\4\0\0\0\0"  # it begins as one, and then there is nothing
HUGE = 10**9  # pixels of a side
UNPACKED = 2**28 + 2**20  # bytes of a member that has a third of a megabyte in its zip
WHOLE = pack(FOLDERS)
PICTURE = make_picture()
FILE = "labels.json"
WIDTH, HEIGHT = SIZE
GREYS = save(Image.frombytes("L", SIZE, bytes(n * n % 251 for n in range(WIDTH * HEIGHT))))


def zip_mask(mask: bytes) -> bytes:
    """FOLDERS with another mask."""
    return pack({**FOLDERS, "masks/a.png": mask})


def zip_classes(content: str) -> bytes:
    """FOLDERS, whose masks have the indices 0 to 2, with a file that names classes."""
    return pack({**FOLDERS, "classes.json": content})


def zip_coco(size: tuple[int, int] = SIZE, **annotation: Any) -> bytes:
    """A picture, and a COCO JSON that labels one object of it."""
    told = {
        "images": [{"id": 1, "file_name": "a.png", "width": size[0], "height": size[1]}],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, **annotation}],
    }
    return pack({"a.png": PICTURE, FILE: json.dumps(told)})


def declare(width: int, height: int) -> bytes:
    """A grey PNG that says it has so many pixels, and has none."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = [b"IHDR" + header, b"IDAT" + zlib.compress(b""), b"IEND"]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        for chunk in chunks
    )


def make_bomb() -> bytes:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images/a.png", PICTURE)
        with archive.open("masks/a.png", "w") as file:
            for _ in range(UNPACKED // 2**20):
                file.write(bytes(2**20))
    return packed.getvalue()


def count_runs(*counts: int, size: tuple[int, int] = (HEIGHT, WIDTH)) -> dict[str, Any]:
    """The run lengths of COCO."""
    return {"size": list(size), "counts": list(counts)}


# What it is: the zip, and what the refusal says among others.
BAD: dict[str, tuple[bytes, str]] = {
    "an empty zip": (EMPTY_ZIP, "zip cannot be read"),
    "half a zip": (WHOLE[: len(WHOLE) // 2], "cannot be read"),
    "a path that leaves": (pack({"../../masks/a.png": make_mask(0)}), "leaves"),
    "no masks": (pack({"a.png": PICTURE}), "masks"),
    "a mask alone": (pack({"masks/a.png": make_mask(0)}), "no picture"),
    "void alone": (pack({"images/a.png": PICTURE, "masks/a.png": make_mask(255)}), "no class"),
    "half a line": (pack({**LISTS, "train_pairs.txt": "train/a.jpg"}), "train_pairs.txt, line 1"),
    "a mask of another size": (zip_mask(make_mask(0, size=(13, 8))), "13 x 8"),
    "a mask of colours": (zip_mask(save(Image.new("RGB", SIZE))), "palette"),
    "a mask with alpha": (zip_mask(save(Image.new("RGBA", SIZE))), "transparency"),
    "a mask of 16 bits": (zip_mask(save(Image.new("I;16", SIZE))), "16 bits"),
    "a damaged mask": (zip_mask(GREYS[:-40]), "masks/a.png: The mask is damaged"),
    "a mask of 10^18 pixels": (zip_mask(declare(HUGE, HUGE)), "masks/a.png"),
    "an index of no class": (zip_classes('{"classes": ["a", "b"]}'), "index 2"),
    "nested classes": (zip_classes("[" * 100_000), "classes.json"),
    "a class twice": (zip_classes('{"classes": ["a", "a", "b"]}'), "twice"),
    "a COCO picture of 10^18 pixels": (
        zip_coco(size=(HUGE, HUGE), segmentation=count_runs(0, HUGE**2, size=(HUGE, HUGE))),
        "width",
    ),
    "runs of 10^18 pixels": (zip_coco(segmentation=count_runs(0, HUGE**2)), FILE),
    "runs of another size": (
        zip_coco(segmentation=count_runs(0, HUGE**2, size=(HUGE, HUGE))),
        FILE,
    ),
    "runs of text": (zip_coco(segmentation={"size": [8, 12], "counts": "\u00ff~" * 1000}), FILE),
    "an infinite polygon": (zip_coco(segmentation=[[0, 0, float("inf"), 0, 5, 5]]), FILE),
    "half a point": (zip_coco(segmentation=[[0, 0, 5, 0, 5, 5, 5]]), FILE),
}
