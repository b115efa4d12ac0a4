"""Draws a window of stained glass: the style that comes with Atelier, and is nobody's picture.

As a program it writes the picture that `stained-glass` learned from:
`python -m workers.style.stained_glass stained-glass.png`.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

SIDE, PANES, SEED = 512, 150, 7
LEAD = 3.0  # pixels: half the width of what holds the panes
COLOURS = (  # of glass, red, green, blue
    *((183, 28, 38), (226, 74, 30), (246, 160, 24), (252, 211, 77), (20, 82, 180)),
    *((13, 51, 125), (61, 156, 214), (22, 120, 84), (96, 172, 62), (118, 45, 140), (236, 232, 206)),
)
DARK = (24, 22, 28)  # lead


def draw_stained_glass(side: int = SIDE, panes: int = PANES, seed: int = SEED) -> Image.Image:
    """RGB, `side` x `side` pixels: a Voronoi diagram of coloured panes, with lead between them."""
    chance = np.random.default_rng(seed)
    centres = spread(chance, panes, side)
    nearest, gap = find_panes(centres, side)
    colours = np.array(COLOURS, np.float32)[chance.integers(len(COLOURS), size=panes)]
    light = shine(chance, nearest, centres)
    lead = np.clip(gap - LEAD + 0.5, 0, 1)[..., None]  # 0 in the lead, its edge one pixel soft
    glass = np.clip(colours[nearest] * light[..., None], 0, 255)
    drawn = lead * glass + (1 - lead) * np.array(DARK, np.float32)
    return Image.fromarray(drawn.round().astype(np.uint8))


def spread(chance: np.random.Generator, panes: int, side: int) -> np.ndarray:
    """(panes, 2) rows and columns, each the farthest from those before it of ten drawn."""
    centres = [chance.uniform(0, side, 2)]
    while len(centres) < panes:
        drawn = chance.uniform(0, side, (10, 2))
        away = np.linalg.norm(drawn[:, None] - np.array(centres), axis=2).min(axis=1)
        centres.append(drawn[away.argmax()])
    return np.array(centres)


def find_panes(centres: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each pixel, (side, side): the pane it is in, and how many pixels away its edge is."""
    nearest = np.empty((side, side), np.int64)
    gap = np.empty((side, side), np.float32)
    columns = np.arange(side)
    for row in range(side):  # so that few distances are in memory at once
        points = np.stack([np.full(side, row), columns], axis=1)
        away = np.linalg.norm(points[:, None] - centres, axis=2)
        first, second = np.argsort(away, axis=1)[:, :2].T
        between = np.linalg.norm(centres[first] - centres[second], axis=1)
        squares = away[columns, second] ** 2 - away[columns, first] ** 2
        nearest[row], gap[row] = first, squares / (2 * between)
    return nearest, gap


def shine(chance: np.random.Generator, nearest: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """How bright each pixel is, (side, side): every pane falls off to one side, and is streaked."""
    panes, side = len(centres), len(nearest)
    rows, columns = np.indices((side, side))
    turn = chance.uniform(0, 2 * np.pi, panes)[nearest]
    down, right = rows - centres[nearest, 0], columns - centres[nearest, 1]
    along = down * np.sin(turn) + right * np.cos(turn)
    brightness = chance.uniform(0.8, 1.15, panes)[nearest]
    streaks = 0.05 * np.sin(along * chance.uniform(0.4, 0.8, panes)[nearest] + turn)
    light: np.ndarray = brightness * (1 + 0.006 * along + streaks)
    return light


if __name__ == "__main__":
    draw_stained_glass().save(Path(sys.argv[1]))
