"""Rates of errors: by definition, by brute force, and on distributions whose rates are known."""

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from workers.faces.metrics import (
    CURVE,
    best_threshold,
    draw_roc,
    equal_error_rate,
    fold_accuracy,
    tar_at_far,
    threshold_at_far,
)

values = st.integers(-8, 8).map(lambda number: number / 8)  # with many ties
score_lists = arrays(np.float32, st.integers(1, 60), elements=values)
rates = st.floats(0, 1)


def normals(distance: float, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Genuine and impostor scores without chance: evenly spaced quantiles."""
    steps = [NormalDist().inv_cdf((step + 0.5) / count) for step in range(count)]
    return np.array(steps) + distance, np.array(steps)


@given(score_lists, rates)
def test_a_threshold_accepts_no_more_strangers_than_wanted(impostor, far):
    assert np.mean(impostor >= threshold_at_far(impostor, far)) <= far


@given(score_lists, st.floats(0, 0.999))
def test_a_lower_threshold_would_accept_too_many(impostor, far):
    threshold = np.float32(threshold_at_far(impostor, far))
    assert np.mean(impostor >= np.nextafter(threshold, np.float32(-np.inf))) > far


def test_the_threshold_of_known_scores():
    impostor = np.arange(1000) / 1000
    threshold = threshold_at_far(impostor, 0.01)
    assert np.count_nonzero(impostor >= threshold) == 10
    assert threshold == pytest.approx(0.989)


@pytest.mark.parametrize("far", [-0.1, 1.1, float("nan")])
def test_a_rate_that_is_none_is_refused(far):
    with pytest.raises(ValueError, match="not in"):
        threshold_at_far(np.zeros(3), far)


@pytest.mark.parametrize("scores", [np.array([]), np.array([0.1, np.nan]), np.array([np.inf])])
def test_scores_without_a_value_are_refused(scores):
    good = np.zeros(3)
    for measure in (
        lambda: equal_error_rate(scores, good),
        lambda: equal_error_rate(good, scores),
        lambda: tar_at_far(scores, good, 0.1),
        lambda: threshold_at_far(scores, 0.1),
    ):
        with pytest.raises(ValueError, match="not finite"):
            measure()


def test_the_equal_error_rate_of_normals_is_known():
    genuine, impostor = normals(2.0, 2000)
    assert equal_error_rate(genuine, impostor) == pytest.approx(NormalDist().cdf(-1), abs=1e-3)


def test_the_true_accept_rate_of_normals_is_known():
    genuine, impostor = normals(2.0, 10_000)
    expected = 1 - NormalDist(2).cdf(NormalDist().inv_cdf(0.99))
    assert tar_at_far(genuine, impostor, 0.01) == pytest.approx(expected, abs=1e-3)


@given(score_lists, score_lists)
def test_swapping_the_kinds_and_the_sign_leaves_the_equal_error_rate(genuine, impostor):
    rate = equal_error_rate(genuine, impostor)
    assert 0 <= rate <= 1
    assert equal_error_rate(-impostor, -genuine) == pytest.approx(rate)


@pytest.mark.parametrize(("genuine", "impostor", "rate"), [(1, 0, 0), (0, 1, 1), (0, 0, 0.5)])
def test_the_equal_error_rate_of_the_extremes(genuine, impostor, rate):
    assert equal_error_rate(np.full(3, genuine), np.full(5, impostor)) == rate


@given(arrays(np.float32, 30, elements=values), arrays(bool, 30))
def test_no_threshold_is_better_than_the_best(scores, same):
    def right(threshold: float) -> int:
        return np.count_nonzero((scores >= threshold) == same)

    tries = [*np.unique(scores), scores.max() + 1]
    assert right(best_threshold(scores, same)) == max(right(threshold) for threshold in tries)


def test_pairs_that_can_be_told_apart_are_all_right():
    same = np.tile([True, False], 20)
    assert fold_accuracy(same * 0.5, same, 4) == (1.0, 0.0)


def test_a_fold_is_judged_by_the_threshold_of_the_others():
    # Each fold can be told apart perfectly, but by a threshold of its own.
    scores = np.array([0.3, 0.1, 0.9, 0.6])
    same = np.array([True, False, True, False])
    accuracy, deviation = fold_accuracy(scores, same, 2)
    assert accuracy == 0.5
    assert deviation == 0


@pytest.mark.parametrize(("count", "folds"), [(10, 3), (10, 1), (0, 2)])
def test_pairs_that_make_no_equal_folds_are_refused(count, folds):
    with pytest.raises(ValueError, match="equal folds"):
        fold_accuracy(np.zeros(count), np.zeros(count, bool), folds)


@pytest.mark.parametrize("count", [1, 5, 2000])
def test_a_curve_is_drawn_inside_its_axes(count):
    genuine, impostor = normals(2.0, count)
    picture = draw_roc(genuine, impostor, "Two normals")
    blue = tuple(int(CURVE[place : place + 2], 16) for place in (1, 3, 5))
    rows, columns = np.nonzero((np.asarray(picture) == blue).all(axis=2))
    assert len(rows) > 100
    assert columns.min() >= 68  # half a line left of the axis
    assert columns.max() <= picture.width - 18
    assert rows.min() >= 38
    assert rows.max() <= picture.height - 48
    assert rows[columns == columns.min()].mean() >= rows[columns == columns.max()].mean()
