"""The connected regions of a mask, found from the runs of equal pixels along its rows."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

BAND = 2**22  # pixels whose runs are found at once


@dataclass(frozen=True)
class Runs:
    """N runs of pixels of one class along a row each, from the top to the bottom."""

    shape: tuple[int, int]  # of the mask
    rows: np.ndarray  # (N,) int64
    starts: np.ndarray  # (N,) int64, the first column
    stops: np.ndarray  # (N,) int64, the column after the last
    values: np.ndarray  # (N,) uint8, the class
    left_out: int = 0  # of the mask's, for they were too many

    def __len__(self) -> int:
        return len(self.rows)

    def keep(self, places: np.ndarray) -> "Runs":
        """Only these: a mask (N,)."""
        columns = (self.rows, self.starts, self.stops, self.values)
        return Runs(self.shape, *(column[places] for column in columns))

    def place(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """A number for each place, growing along rows and from row to row."""
        places: np.ndarray = rows * (self.shape[1] + 1) + columns
        return places


def find_runs(mask: np.ndarray, classes: np.ndarray, most: int) -> Runs:
    """The runs of `classes` in a mask (H, W) uint8.

    Where there are more than `most`, as in noise, the shortest are left out, and of those that are
    as long the last.
    """
    wanted = np.zeros(256, bool)
    wanted[classes] = True
    counts = np.zeros(mask.shape[1] + 2, np.int64)  # of each length
    for band in _find_in_bands(mask, wanted):
        counts += np.bincount(band.stops - band.starts, minlength=len(counts))
    as_long = counts[::-1].cumsum()[::-1]  # how many are so long or longer
    shortest = int(np.argmax(as_long <= most))
    room = most - int(as_long[shortest])  # for the first that are one pixel shorter
    kept = []
    for band in _find_in_bands(mask, wanted):
        lengths = band.stops - band.starts
        shorter = lengths == shortest - 1
        kept.append(band.keep((lengths >= shortest) | (shorter & (np.cumsum(shorter) <= room))))
        room = max(0, room - int(shorter.sum()))
    names = ("rows", "starts", "stops", "values")
    rows, starts, stops, values = (
        np.concatenate([getattr(one, name) for one in kept]) for name in names
    )
    return Runs(mask.shape, rows, starts, stops, values, max(0, int(as_long[0]) - most))


def _find_in_bands(mask: np.ndarray, wanted: np.ndarray) -> Iterator[Runs]:
    height, width = mask.shape
    step = max(1, BAND // width)
    for top in range(0, height, step):
        band = mask[top : top + step]
        first = np.ones(band.shape, bool)
        first[:, 1:] = band[:, 1:] != band[:, :-1]
        places = np.flatnonzero(first)
        lengths = np.diff(places, append=band.size)
        values = band[first]
        rows, starts = np.divmod(places, width)
        yield Runs(mask.shape, rows + top, starts, starts + lengths, values).keep(wanted[values])


def label_regions(runs: Runs) -> np.ndarray:
    """(N,) int64: the region of each run, from 0 on in the order of their first runs.

    Pixels of a class are in one region where they share an edge.
    """
    upper, lower = _find_neighbours(runs)
    root = np.arange(len(runs))  # of each run: the first of its region, as far as it is known
    while len(upper):
        one, other = root[upper], root[lower]
        np.minimum.at(root, np.maximum(one, other), np.minimum(one, other))
        while not np.array_equal(root, root[root]):
            root = root[root]
        apart = root[upper] != root[lower]
        upper, lower = upper[apart], lower[apart]
    numbers = np.cumsum(root == np.arange(len(runs))) - 1
    found: np.ndarray = numbers[root]
    return found


def _find_neighbours(runs: Runs) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of runs of one class that share an edge: the upper, and the lower of each."""
    below = runs.rows + 1
    first = np.searchsorted(
        runs.place(runs.rows, runs.stops), runs.place(below, runs.starts), "right"
    )
    end = np.searchsorted(runs.place(runs.rows, runs.starts), runs.place(below, runs.stops))
    counts = np.maximum(end - first, 0)
    upper = np.repeat(np.arange(len(runs)), counts)
    before = np.cumsum(counts) - counts
    lower = np.arange(len(upper)) + np.repeat(first - before, counts)
    same = runs.values[upper] == runs.values[lower]
    return upper[same], lower[same]
