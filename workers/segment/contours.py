"""The outlines of masks as polygons that follow the edges of the pixels."""

from dataclasses import dataclass

import numpy as np

from workers.runtime.run import TooLarge

MAX_CORNERS = 1_000_000  # a second of work; noise has two for each pixel


@dataclass(frozen=True)
class Contour:
    """A closed line; its last corner joins its first."""

    corners: np.ndarray  # (N, 2) int64, x and y in pixels: 0 is the left and top border
    hole: bool  # what it surrounds does not belong to the mask

    @property
    def area(self) -> float:
        """Pixels that it surrounds."""
        x, y = self.corners.T
        return float(abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2)

    def to_coco(self) -> list[int]:
        """x, y, x, y and so on, as in COCO's `segmentation`, which knows no holes."""
        flat: list[int] = self.corners.ravel().tolist()
        return flat


def trace(mask: np.ndarray, max_corners: int = MAX_CORNERS) -> list[Contour]:
    """The contours of a mask (H, W) bool, from its top to its bottom.

    Pixels that touch at a corner alone have contours of their own. Raises TooLarge for more than
    `max_corners`.
    """
    corners, kinds = _find_corners(mask.astype(bool), max_corners)
    across, down = (link.tolist() for link in _link(corners, kinds))
    seen = bytearray(len(corners))
    contours = []
    for first in range(len(corners)):  # of a contour the left end of its top
        if not seen[first]:
            ring, place = [], first
            while not seen[place]:
                ring += [place, across[place]]
                seen[place] = seen[across[place]] = True
                place = down[across[place]]
            y, x = corners[first]
            contours.append(Contour(corners[ring][:, ::-1], hole=not mask[y, x]))
    return contours


def _find_corners(mask: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """(N, 2) y and x, row by row, and (N,) what edges each joins.

    Where two pixels touch at a corner alone there are two: 1 joins the edges to the left and above,
    2 those to the right and below; or 3 those to the right and above, 4 those to the left and
    below. All others are 0.
    """
    around = np.pad(mask, 1)
    left_top, right_top = around[:-1, :-1], around[:-1, 1:]
    left_bottom, right_bottom = around[1:, :-1], around[1:, 1:]
    odd = left_top ^ right_top ^ left_bottom ^ right_bottom
    touching = (left_top == right_bottom) & (right_top == left_bottom) & (left_top != right_top)
    falling, rising = touching & left_top, touching & right_top
    found = [(odd, 0), (falling, 1), (falling, 2), (rising, 3), (rising, 4)]
    counts = [np.count_nonzero(where) for where, _ in found]
    if sum(counts) > most:
        raise TooLarge(
            f"The outlines have {sum(counts)} corners, more than {most}: ask for run lengths, "
            "which have no limit, or smooth the mask."
        )
    corners = np.concatenate([np.argwhere(where) for where, _ in found])
    kinds = np.repeat([kind for _, kind in found], counts)
    order = np.lexsort((kinds, corners[:, 1], corners[:, 0]))
    return corners[order], kinds[order]


def _link(corners: np.ndarray, kinds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each corner the other end of its edge along the row, and along the column.

    Along a line, edges begin and end by turns.
    """
    y, x = corners.T
    ends_row = np.isin(kinds, (1, 4))  # joins the edge to the left, so it comes first
    ends_column = np.isin(kinds, (1, 3))  # joins the edge above
    links = []
    for line, along, ends in ((y, x, ends_row), (x, y, ends_column)):
        order = np.lexsort((~ends, along, line))
        other = np.empty(len(corners), np.int64)
        other[order[::2]], other[order[1::2]] = order[1::2], order[::2]
        links.append(other)
    return links[0], links[1]
