"""Masks for other programs: COCO's run lengths, and outlines along the edges of pixels."""

import numpy as np
import pytest
from faster_coco_eval.core import mask as coco
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from workers.segment import rle
from workers.segment.contours import find_corners, trace
from workers.segment.regions import find_runs, label_regions
from workers.segment.rle import count_runs, pack_runs, to_coco, unpack_runs

masks = st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(
    lambda shape: arrays(np.bool_, shape)
)


def draw(*rows: str) -> np.ndarray:
    return np.array([[letter == "#" for letter in row] for row in rows])


@given(masks)
def test_run_lengths_are_those_of_coco(mask):
    theirs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert to_coco(mask) == {
        "size": list(theirs["size"]),
        "counts": theirs["counts"].decode(),
    }


@pytest.mark.parametrize("share", [0.001, 0.5, 0.999])
def test_so_they_are_of_a_large_mask(share):
    mask = np.random.default_rng(0).random((700, 900)) < share
    mask[:, 300:600] = False  # a run that needs many characters
    theirs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert to_coco(mask)["counts"] == theirs["counts"].decode()
    decoded = coco.decode({"size": theirs["size"], "counts": to_coco(mask)["counts"].encode()})
    assert np.array_equal(decoded, mask)


def test_runs_go_down_the_columns_and_begin_outside():
    assert count_runs(draw(".#", "##", ".#")).tolist() == [1, 1, 1, 3]
    assert count_runs(draw("#.", "#.")).tolist() == [0, 2, 2]
    assert count_runs(draw("..")).tolist() == [2]


def test_the_longest_runs_fit():
    runs = np.array([0, 2**31 - 1, 5, 1])  # the last is told as 2 - 2**31
    assert len(pack_runs(runs)) == 1 + 7 + 1 + 7
    assert unpack_runs(pack_runs(runs)).tolist() == runs.tolist()


@given(st.lists(st.integers(0, 10**6), min_size=1))
def test_packed_runs_are_unpacked(runs):
    assert unpack_runs(pack_runs(np.array(runs))).tolist() == runs


def test_many_runs_are_packed_part_by_part(monkeypatch):
    runs = np.random.default_rng(0).integers(0, 1000, 100)
    whole = pack_runs(runs)
    monkeypatch.setattr(rle, "PART", 7)
    assert pack_runs(runs) == whole


def outline(mask: np.ndarray) -> list[np.ndarray]:
    """The polygons of a mask (H, W) bool."""
    runs = find_runs(mask.astype(np.uint8), np.array([1]), 10**6)
    return trace(runs, find_corners(runs, label_regions(runs)))


def wind(polygon: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """How often a polygon goes around each pixel: 1 is once to the right."""
    around = np.zeros(shape, int)
    for (x, y), (to_x, to_y) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        assert x == to_x or y == to_y  # along a row or a column
        around[min(y, to_y) : max(y, to_y), x:] += np.sign(y - to_y)
    return around


labels = st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(
    lambda shape: arrays(np.uint8, shape, elements=st.integers(0, 3))
)


@given(labels)
def test_regions_are_the_pixels_that_share_edges(mask):
    runs = find_runs(mask, np.arange(4), 10**6)
    found = np.full(mask.shape, -1)
    for row, start, stop, region in zip(
        runs.rows, runs.starts, runs.stops, label_regions(runs), strict=True
    ):
        found[row, start:stop] = region
    count = 0
    for one in range(4):
        wanted, own = ndimage.label(mask == one)
        for region in range(1, own + 1):
            assert len(np.unique(found[wanted == region])) == 1
        count += own
    assert np.array_equal(np.unique(found), np.arange(count))


def test_a_region_that_winds_is_found_whole():
    """A comb, whose teeth meet at the bottom alone, and a spiral."""
    comb = np.zeros((50, 99), np.uint8)
    comb[:, ::2] = comb[-1] = 1
    runs = find_runs(comb, np.array([1]), 10**6)
    assert not label_regions(runs).any()
    spiral = draw(
        "#######",
        "......#",
        "#####.#",
        "#...#.#",
        "#.###.#",
        "#.....#",
        "#######",
    )
    runs = find_runs(spiral.astype(np.uint8), np.array([1]), 10**6)
    assert not label_regions(runs).any()


@given(masks)
def test_a_polygon_goes_once_around_its_pixels_and_around_nothing_else(mask):
    polygons = outline(mask)
    around = sum((wind(one, mask.shape) for one in polygons), np.zeros(mask.shape, int))
    assert np.array_equal(around, mask)


@given(masks)
def test_coco_fills_polygons_alike(mask):
    filled = np.zeros(mask.shape, int)
    for one in outline(mask):
        (runs,) = coco.frPyObjects([one.ravel().tolist()], *mask.shape)
        filled += coco.decode(runs)
    assert np.array_equal(filled, mask)


def test_a_hole_is_joined_to_the_outline_by_a_slit():
    (ring,) = outline(draw("####", "#..#", "####"))
    assert ring.tolist() == [
        *([0, 0], [4, 0], [4, 3], [0, 3]),
        *([0, 1], [1, 1], [1, 2], [3, 2], [3, 1], [1, 1], [0, 1]),
    ]


def test_many_holes_in_a_row_are_joined_to_each_other():
    mask = np.ones((3, 20_001), bool)
    mask[1, 1::2] = False
    (ring,) = outline(mask)
    assert len(ring) == 4 + 10_000 * 7


@pytest.mark.parametrize(
    ("rows", "count"),
    [
        (("#.", ".#"), 2),
        ((".#", "#."), 2),
        (("#.#", ".#.", "#.#"), 5),
        ((".#.", "#.#", ".#."), 4),  # the middle is not shut in
        (("####", "#.##", "##.#", "####"), 1),  # with a hole of two pixels
    ],
)
def test_pixels_that_touch_at_a_corner_are_apart(rows, count):
    assert len(outline(draw(*rows))) == count


def test_an_empty_mask_has_no_outlines():
    assert outline(np.zeros((3, 4), bool)) == []


def test_the_longest_runs_are_kept():
    mask = np.array([[1, 1, 1, 0, 1, 0, 1, 1], [0, 1, 0, 1, 1, 1, 1, 0]], np.uint8)
    for most, lengths in ((5, [1, 1, 2, 3, 4]), (4, [1, 2, 3, 4]), (2, [3, 4]), (1, [4]), (0, [])):
        runs = find_runs(mask, np.array([1]), most)
        assert sorted((runs.stops - runs.starts).tolist()) == lengths
