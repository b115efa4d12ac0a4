"""Made-up pictures and masks: bright rectangles on noise, a colour for each class."""

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image

from tests.workers.segment.mask_files import save
from workers.segment.classes import name_classes
from workers.segment.draw import write_mask
from workers.segment.labelled import LabelledPicture, LabelledPictures

CLASSES = name_classes(["background", "red", "blue"])
COLOURS = ((115, 115, 115), (230, 40, 40), (40, 60, 230))
SIZE = 64  # pixels, width and height


def draw(chance: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (SIZE, SIZE, 3) and classes (SIZE, SIZE): one rectangle of each colour."""
    mask = np.zeros((SIZE, SIZE), np.uint8)
    for number in (1, 2):
        width, height = chance.integers(16, 28, 2).tolist()
        left = (number - 1) * SIZE // 2 + int(chance.integers(0, SIZE // 2 - width + 1))
        top = int(chance.integers(0, SIZE - height))
        mask[top : top + height, left : left + width] = chance.choice([number, 3 - number])
    noise = chance.integers(-25, 26, (SIZE, SIZE, 3))
    return (np.array(COLOURS)[mask] + noise).clip(0, 255).astype(np.uint8), mask


def make_pictures(count: int, seed: int = 0, part: str = "") -> LabelledPictures:
    chance = np.random.default_rng(seed)
    made = []
    for number in range(count):
        pixels, mask = draw(chance)
        picture = save(Image.fromarray(pixels))
        written = write_mask(mask, CLASSES.palette)
        made.append(
            LabelledPicture(
                f"{part}{number:03}.png",
                SIZE,
                SIZE,
                part,
                hashlib.sha256(pixels.tobytes()).hexdigest(),
                hashlib.sha256(mask.tobytes()).hexdigest(),
                np.bincount(mask.ravel(), minlength=256),
                lambda picture=picture: picture,
                lambda written=written: written,
            )
        )
    return LabelledPictures(CLASSES, tuple(made))


def write_pictures(folder: Path, count: int, seed: int = 0) -> None:
    """The same as files in the folders `images` and `masks`."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for one in make_pictures(count, seed).pictures:
        (folder / "images" / one.path).write_bytes(one.read())
        (folder / "masks" / one.path).write_bytes(one.read_mask())
