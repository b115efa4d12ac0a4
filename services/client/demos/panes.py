"""A drawn window of stained glass: a style without a file."""

from itertools import product
from random import Random

from services.client.demos.rectangles import write_png

SIDE = 128  # pixels
PANES = 40
LEAD = 2.5  # pixels: a point whose two nearest panes are as near as this is in the lead
DARK = bytes((24, 22, 28))
GLASS = (
    *((183, 28, 38), (226, 74, 30), (246, 160, 24), (252, 211, 77), (20, 82, 180)),
    *((61, 156, 214), (22, 120, 84), (96, 172, 62), (118, 45, 140)),
)


def draw_panes(seed: int) -> bytes:
    """A PNG of SIDE x SIDE pixels: points of one colour around its middle, dark lead between."""
    chance = Random(seed)
    middles = [(SIDE * chance.random(), SIDE * chance.random()) for _ in range(PANES)]
    colours = [bytes(chance.choice(GLASS)) for _ in middles]
    rows = [bytearray(3 * SIDE) for _ in range(SIDE)]
    for y, x in product(range(SIDE), repeat=2):
        away = [((x - right) ** 2 + (y - down) ** 2) ** 0.5 for right, down in middles]
        nearest, second = sorted(away)[:2]
        seen = DARK if second - nearest < LEAD else colours[away.index(nearest)]
        rows[y][3 * x : 3 * x + 3] = seen
    return write_png(rows)
