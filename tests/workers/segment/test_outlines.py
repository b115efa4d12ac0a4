"""Masks for other programs: COCO's run lengths, and contours along the edges of pixels."""

import numpy as np
import pytest
from faster_coco_eval.core import mask as coco
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from workers.runtime.run import TooLarge
from workers.segment.contours import Contour, trace
from workers.segment.rle import count_runs, pack_runs, to_coco

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


def fill(contours: list[Contour], shape: tuple[int, int]) -> np.ndarray:
    """What is inside an odd number of contours."""
    crossed = np.zeros(shape, int)
    for contour in contours:
        for (x, y), (to_x, to_y) in zip(
            contour.corners, np.roll(contour.corners, -1, axis=0), strict=True
        ):
            assert (x == to_x) != (y == to_y)  # along a row or a column
            if y != to_y:
                crossed[min(y, to_y) : max(y, to_y), x:] += 1
    return crossed % 2 == 1


@given(masks)
def test_contours_surround_the_mask_and_nothing_else(mask):
    contours = trace(mask)
    assert np.array_equal(fill(contours, mask.shape), mask)
    area = sum(-one.area if one.hole else one.area for one in contours)
    assert area == mask.sum()


@given(masks)
def test_without_holes_they_are_polygons_that_coco_fills_alike(mask):
    contours = trace(mask)
    assume(contours and not any(one.hole for one in contours))
    polygons = coco.frPyObjects([one.to_coco() for one in contours], *mask.shape)
    assert np.array_equal(coco.decode(coco.merge(polygons)), mask)


def test_a_ring_has_an_outline_and_a_hole():
    outer, inner = trace(draw("####", "#..#", "####"))
    assert (outer.hole, inner.hole) == (False, True)
    assert outer.corners.tolist() == [[0, 0], [4, 0], [4, 3], [0, 3]]
    assert inner.corners.tolist() == [[1, 1], [3, 1], [3, 2], [1, 2]]
    assert (outer.area, inner.area) == (12, 2)
    assert outer.to_coco() == [0, 0, 4, 0, 4, 3, 0, 3]


@pytest.mark.parametrize(
    ("rows", "count"),
    [
        (("#.", ".#"), 2),
        ((".#", "#."), 2),
        (("#.#", ".#.", "#.#"), 5),
        ((".#.", "#.#", ".#."), 4),  # the middle is not shut in
        (("####", "#.##", "##.#", "####"), 2),  # one outline, one hole of two pixels
    ],
)
def test_pixels_that_touch_at_a_corner_are_apart(rows, count):
    assert len(trace(draw(*rows))) == count


def test_an_empty_mask_has_no_contours():
    assert trace(np.zeros((3, 4), bool)) == []


def test_too_many_corners_are_refused_before_they_are_followed():
    noise = np.random.default_rng(0).random((50, 50)) < 0.5
    with pytest.raises(TooLarge, match=r"corners, more than 100"):
        trace(noise, max_corners=100)
    assert trace(np.ones((50, 50), bool), max_corners=4)[0].area == 2500
