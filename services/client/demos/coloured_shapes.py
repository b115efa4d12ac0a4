"""Pictures of coloured discs and squares on noise, with their masks: a data set without files."""

import json
import zipfile
from dataclasses import dataclass
from io import BytesIO
from random import Random

from services.client.demos.rectangles import COLOURS, SIDE, write_png

NAMES = ("ground", *COLOURS)  # the class of index i is the one at place i
SHAPES = 2  # on each picture; a later one may cover part of an earlier one
SMALLEST, LARGEST = 9, 15  # pixels from the middle to the border


@dataclass(frozen=True)
class Drawing:
    """A picture and its truth, SIDE x SIDE pixels each."""

    picture: bytes  # a PNG
    mask: list[bytearray]  # rows of the classes' indices

    def measure(self, name: str) -> float:
        """The share of all pixels that have this class."""
        index = NAMES.index(name)
        return sum(row.count(index) for row in self.mask) / SIDE**2


def draw_shapes(chance: Random) -> Drawing:
    """Shapes of different colours, on noise that is darker."""
    rows = [bytearray(value // 2 for value in chance.randbytes(3 * SIDE)) for _ in range(SIDE)]
    mask = [bytearray(SIDE) for _ in range(SIDE)]
    for name in chance.sample(NAMES[1:], SHAPES):
        for x, y in _choose_pixels(chance):
            rows[y][3 * x : 3 * x + 3] = bytes(COLOURS[name])
            mask[y][x] = NAMES.index(name)
    return Drawing(write_png(rows), mask)


def _choose_pixels(chance: Random) -> list[tuple[int, int]]:
    """(x, y) of all pixels of a disc or a square somewhere."""
    radius, round_ = chance.randint(SMALLEST, LARGEST), chance.random() < 0.5
    across, down = (chance.randrange(radius, SIDE - radius) for _ in range(2))
    reach = range(-radius, radius + 1)
    return [
        (across + x, down + y)
        for y in reach
        for x in reach
        if not round_ or x * x + y * y <= radius * radius
    ]


def pack_shapes(count: int, seed: int) -> bytes:
    """A zip of so many pictures with their masks, always the same for a seed."""
    chance, content = Random(seed), BytesIO()
    classes = [{"name": name, "colour": COLOURS.get(name, (0, 0, 0))} for name in NAMES]
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(zipfile.ZipInfo("classes.json"), json.dumps({"classes": classes}))
        for number in range(count):
            drawn = draw_shapes(chance)
            archive.writestr(zipfile.ZipInfo(f"images/{number:03}.png"), drawn.picture)
            archive.writestr(
                zipfile.ZipInfo(f"masks/{number:03}.png"), write_png(drawn.mask, channels=1)
            )
    return content.getvalue()
