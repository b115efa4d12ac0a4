"""Thresholds, bands and classifiers as shipped for dlib's network."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.faces.verify import (
    SHIPPED,
    band,
    classify,
    load_calibration,
    similarity,
    threshold_for,
    threshold_for_gallery,
)

MODEL = ("dlib-resnet", "1")
METHODS = ["distance", "classifier", "chi2"]
rates = st.floats(1e-6, 0.5)


def draw_points(count: int) -> np.ndarray:
    points = np.random.default_rng(0).normal(size=(count, 128))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float16)


def test_similarity_is_one_minus_half_the_squared_distance():
    a, b = draw_points(2).astype(np.float64)
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    assert similarity(a, b) == pytest.approx(1 - ((a - b) ** 2).sum() / 2)


def test_a_point_is_wholly_like_itself_though_it_was_rounded():
    for point in draw_points(20):
        assert similarity(point, point) == pytest.approx(1, abs=1e-12)
        assert similarity(point, -point) == pytest.approx(-1, abs=1e-12)


@pytest.mark.parametrize("method", METHODS)
@given(one=rates, other=rates)
def test_fewer_false_matches_need_a_higher_threshold(method, one, other):
    low, high = sorted([one, other])
    assert threshold_for(*MODEL, low, method) >= threshold_for(*MODEL, high, method)


def test_a_rate_between_two_that_were_measured_gets_the_stricter_threshold():
    assert threshold_for(*MODEL, 1.01e-3) == threshold_for(*MODEL, 1e-3)
    assert threshold_for(*MODEL, 0.99e-3) > threshold_for(*MODEL, 1e-3)


@pytest.mark.parametrize("rate", [0, 9e-7, 0.6, 1, -1, float("nan")])
def test_a_rate_that_was_not_measured_is_refused(rate):
    with pytest.raises(ValueError, match="was not measured"):
        threshold_for(*MODEL, rate)


def test_a_model_that_was_not_measured_is_refused():
    with pytest.raises(LookupError, match="has no calibration"):
        threshold_for("dlib-resnet", "2", 1e-3)


def test_among_one_face_a_search_is_a_comparison():
    assert threshold_for_gallery(*MODEL, 1e-3, 1) == threshold_for(*MODEL, 1e-3)


def test_the_false_match_rate_follows_from_the_size_of_the_gallery():
    fmr = 1 - (1 - 0.05) ** (1 / 200)
    assert threshold_for_gallery(*MODEL, 0.05, 200) == threshold_for(*MODEL, fmr)


@given(st.floats(1e-4, 0.5), st.integers(1, 10**8), st.integers(1, 10**8))
def test_more_faces_never_need_a_lower_threshold(fpir, one, other):
    few, many = sorted([one, other])
    low, high = (threshold_for_gallery(*MODEL, fpir, faces) for faces in (few, many))
    assert low <= high <= 1


@pytest.mark.parametrize(("fpir", "faces"), [(0, 10), (1, 10), (0.01, 0), (float("nan"), 10)])
def test_a_gallery_that_makes_no_sense_is_refused(fpir, faces):
    with pytest.raises(ValueError, match="has no threshold"):
        threshold_for_gallery(*MODEL, fpir, faces)


@pytest.mark.parametrize(("start", "end"), [(1e-2, 1e-4), (1e-3, 1e-5)])
def test_the_rise_of_earlier_decades_lands_above_what_was_measured(start, end):
    """So the same rule below 1e-6 errs towards "unknown"."""
    lower, upper = threshold_for(*MODEL, start), threshold_for(*MODEL, end)
    per_decade = (upper - lower) / math.log10(start / end)
    assert upper + per_decade * math.log10(end / 1e-6) > threshold_for(*MODEL, 1e-6)


@pytest.mark.parametrize(
    ("rate", "name"), [(1e-5, "very likely"), (1e-3, "likely"), (1e-2, "uncertain")]
)
def test_a_band_begins_at_its_threshold(rate, name):
    threshold = threshold_for(*MODEL, rate)
    assert band(*MODEL, threshold) == name
    assert band(*MODEL, math.nextafter(threshold, -1)) != name


def test_low_scores_are_unlikely():
    assert band(*MODEL, 0.8) == band(*MODEL, -1.0) == "unlikely"


@pytest.mark.parametrize("kind", ["classifier", "chi2"])
def test_a_classifier_knows_a_face_from_a_random_other(kind):
    a, b = draw_points(2)
    probability, least = classify(kind, a, a, 1e-6)
    assert 0.5 < least < probability < 1
    assert classify(kind, a, b, 1e-6)[0] < 0.5


@pytest.mark.parametrize("method", METHODS)
def test_what_is_shipped_was_measured_on_enough_pairs(method):
    calibration = load_calibration(*MODEL)
    assert calibration.impostor.pairs * calibration.rates[-1] >= 50
    assert calibration.rates == sorted(calibration.rates, reverse=True)
    assert len(calibration.thresholds[method]) == len(calibration.rates)
    at = calibration.rates.index(1e-3)
    assert calibration.accepted[method][at] > 0.9


def test_the_shipped_files_are_small():
    for file in SHIPPED.glob("*.safetensors"):
        assert file.stat().st_size < 10_000
