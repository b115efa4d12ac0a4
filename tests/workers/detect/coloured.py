"""Made-up labelled pictures: bright rectangles on noise, a colour for each class."""

import hashlib
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from workers.detect.labelled import LabelledPicture, LabelledPictures, Labels

COLOURS = {"red": (230, 40, 40), "blue": (40, 60, 230)}
SIZE = 64  # pixels, width and height


def draw(chance: np.random.Generator, objects: int = 2) -> tuple[Image.Image, Labels]:
    """Rectangles of a third of the picture each, side by side at any height."""
    pixels = chance.integers(90, 140, (SIZE, SIZE, 3), dtype=np.uint8)
    boxes, classes = [], chance.integers(0, len(COLOURS), objects)
    for place, number in enumerate(classes.tolist()):
        width, height = chance.integers(14, 28, 2).tolist()
        left = place * SIZE // objects + int(chance.integers(0, SIZE // objects - width + 1))
        top = int(chance.integers(0, SIZE - height))
        pixels[top : top + height, left : left + width] = list(COLOURS.values())[number]
        boxes.append((left, top, left + width, top + height))
    return Image.fromarray(pixels), Labels.of(boxes, classes.tolist())


def make_pictures(count: int, seed: int = 0, part: str = "") -> LabelledPictures:
    chance = np.random.default_rng(seed)
    made = []
    for number in range(count):
        picture, labels = draw(chance)
        made.append(hold(f"{part}{number:03}.png", picture, labels, part))
    return LabelledPictures(tuple(COLOURS), tuple(made))


def hold(path: str, picture: Image.Image, labels: Labels, part: str = "") -> LabelledPicture:
    file = BytesIO()
    picture.save(file, "PNG")
    digest = hashlib.sha256(picture.tobytes()).hexdigest()
    read = lambda most=None: file.getvalue()[:most]  # noqa: E731
    return LabelledPicture(path, picture.width, picture.height, labels, part, digest, read)


def write_yolo(folder: Path, count: int, part: str = "train", seed: int = 0) -> None:
    """The same as files, in the format of Darknet."""
    (folder / "images" / part).mkdir(parents=True)
    (folder / "labels" / part).mkdir(parents=True)
    for one in make_pictures(count, seed).pictures:
        (folder / "images" / part / one.path).write_bytes(one.read())
        centres = (one.labels.boxes[:, :2] + one.labels.boxes[:, 2:]) / 2 / SIZE
        sizes = (one.labels.boxes[:, 2:] - one.labels.boxes[:, :2]) / SIZE
        rows = [
            " ".join(map(str, [number, *centre.tolist(), *size.tolist()]))
            for number, centre, size in zip(one.labels.classes, centres, sizes, strict=True)
        ]
        text = "\n".join(rows)
        (folder / "labels" / part / one.path).with_suffix(".txt").write_text(text)
    names = "train: images/train\nval: images/val\nnames: [red, blue]\n"
    (folder / "data.yaml").write_text(names)
