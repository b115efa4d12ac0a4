"""The outlines of regions as polygons that follow the edges of the pixels."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from workers.segment.regions import Runs


@dataclass(frozen=True)
class Corners:
    """Where outlines turn: region by region, from the top to the bottom.

    Where two pixels of a region touch at a corner alone there are two corners, kind 1 of which
    joins the edges to the left and above, 2 those to the right and below; or 3 those to the right
    and above, 4 those to the left and below. All others are of kind 0.
    """

    regions: np.ndarray  # (N,) int64
    y: np.ndarray  # (N,) int64, in pixels: 0 is the top border
    x: np.ndarray  # (N,) int64, in pixels: 0 is the left border
    kinds: np.ndarray  # (N,) int64

    def keep(self, places: np.ndarray) -> "Corners":
        """Only these: a mask (N,)."""
        return Corners(self.regions[places], self.y[places], self.x[places], self.kinds[places])


def find_corners(runs: Runs, regions: np.ndarray) -> Corners:
    """The corners of the regions that the runs are in: (N,) int64."""
    height, width = runs.shape
    ends = [
        (((regions * (height + 1) + runs.rows + line) * (width + 1) + column) * 2 + stop) * 2 + line
        for line in (0, 1)  # the line at the top of a run; the one at its bottom
        for stop, column in enumerate((runs.starts, runs.stops))
    ]
    codes = np.sort(np.concatenate(ends))
    places, stops, bottoms = codes >> 2, codes >> 1 & 1, codes & 1
    twice = np.flatnonzero(places[1:] == places[:-1])  # a run ends above the line and one below it
    alone = np.ones(len(codes), bool)
    alone[twice] = alone[twice + 1] = False
    single = np.flatnonzero(alone)
    twice = twice[stops[twice] != stops[twice + 1]]  # else an edge goes straight on
    rising = 2 * bottoms[twice]  # the run that starts there is above the line
    order = np.argsort(np.concatenate([2 * single, 2 * twice, 2 * twice + 1]))
    found = places[np.concatenate([single, twice, twice])[order]]
    kinds = np.concatenate([0 * single, 1 + rising, 2 + rising])[order]
    lines, x = np.divmod(found, width + 1)
    own, y = np.divmod(lines, height + 1)
    return Corners(own, y, x, kinds)


def trace(runs: Runs, corners: Corners) -> list[np.ndarray]:
    """One closed polygon for each region: (N, 2) int64, x and y of its corners in pixels.

    A hole is joined to what is left of it by a slit without width, so that the polygon surrounds
    the pixels of its region and no others, by whatever rule it is filled.
    """
    across, down = _link(corners)
    outlines, holes, after = _walk(corners.regions.tolist(), across.tolist(), down.tolist())
    points = [np.column_stack([corners.x, corners.y])]
    for hole, last, begin, left in _find_slits(runs, corners, holes, down, after):
        new = len(after)  # the slit's left end, the hole's corner again, the left end again
        top = int(corners.y[hole])
        points.append(np.array([(left, top), (corners.x[hole], top), (left, top)]))
        after += [hole, new + 2, after[begin]]
        after[begin], after[last] = new, new + 1
    places = np.concatenate(points)
    return [places[list(_follow(first, after))] for first in outlines]


def _link(corners: Corners) -> tuple[np.ndarray, np.ndarray]:
    """For each corner the other end of its edge along the row, and along the column.

    Along a line, edges begin and end by turns.
    """
    links = []
    for lines, along, ends in (
        (corners.y, corners.x, (1, 4)),  # kinds that join the edge to the left: they come first
        (corners.x, corners.y, (1, 3)),  # those that join the edge above
    ):
        order = np.lexsort((~np.isin(corners.kinds, ends), along, lines, corners.regions))
        other = np.empty(len(order), np.int64)
        other[order[::2]], other[order[1::2]] = order[1::2], order[::2]
        links.append(other)
    return links[0], links[1]


def _walk(
    regions: list[int], across: list[int], down: list[int]
) -> tuple[list[int], list[tuple[int, int]], list[int]]:
    """(the first corner of each region, those of its holes with the last, what follows each).

    Outlines go to the right along their top, and holes, the other way round, to the left.
    """
    after = [-1] * len(regions)
    outlines: list[int] = []
    holes = []
    region = -1
    for first in range(len(regions)):  # of an outline, or a hole, the left end of its top
        if after[first] < 0:
            outside = regions[first] != region
            region = regions[first]
            odd, even = (across, down) if outside else (down, across)
            place = first
            while after[place] < 0:
                after[place] = middle = odd[place]
                place = after[middle] = even[middle]
            if outside:
                outlines.append(first)
            else:
                holes.append((first, middle))
    return outlines, holes, after


def _find_slits(
    runs: Runs,
    corners: Corners,
    holes: list[tuple[int, int]],
    down: np.ndarray,
    after: list[int],
) -> Iterator[tuple[int, int, int, int]]:
    """(first and last corner of a hole, the corner before the slit's left end, its column).

    The slit goes along the top of the run that ends at the hole, to where that run starts. Of
    several at one edge the farthest from the corner comes first.
    """
    first = np.array([hole for hole, _ in holes], np.int64)
    y, x = corners.y[first], corners.x[first]
    run = np.searchsorted(runs.place(runs.rows, runs.stops), runs.place(y, x))
    left = runs.starts[run]
    tops = np.flatnonzero(corners.y[down] > corners.y)  # the upper ends of edges
    height, width = runs.shape

    def order(regions: np.ndarray, columns: np.ndarray, lines: np.ndarray) -> np.ndarray:
        codes: np.ndarray = (regions * (width + 1) + columns) * (height + 1) + lines
        return codes

    codes = order(corners.regions[tops], corners.x[tops], corners.y[tops])
    sorting = np.argsort(codes)
    wanted = order(corners.regions[first], left, y)
    upper = tops[sorting[np.searchsorted(codes[sorting], wanted, "right") - 1]]
    lower = down[upper]
    falls = np.array(after, np.int64)[upper] == lower
    begin = np.where(falls, upper, lower)
    for place in np.argsort(-np.abs(y - corners.y[begin]), kind="stable").tolist():
        yield *holes[place], int(begin[place]), int(left[place])


def _follow(first: int, after: list[int]) -> Iterator[int]:
    yield first
    place = after[first]
    while place != first:
        yield place
        place = after[place]
