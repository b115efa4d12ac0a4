"""A threshold keeps the rate it was asked for, and a decision follows from it alone."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workers.faces.site import make_vectors
from workers.faces.gallery import plan_collection
from workers.faces.picture_contract import Band
from workers.faces.refusals import NotCalibrated
from workers.faces.thresholds import (
    GROWN,
    MeasuredScale,
    Scale,
    ShippedScale,
    UnknownScale,
    choose_gallery_threshold,
    compare,
)
from workers.runtime.run import InvalidInput

SHIPPED = ShippedScale("dlib-resnet", "1")
METRICS = {"impostor_mean": 0.1, "impostor_std": 0.12, "eer": 0.03}
TRAINED = MeasuredScale.of(METRICS)
BANDS: list[Band] = ["unlikely", "uncertain", "likely", "very likely"]
FACES = [0, 1, 1000, 10**8]

both = pytest.mark.parametrize("scale", [SHIPPED, TRAINED], ids=["shipped", "trained"])


def plan(faces: int, **values: object):
    return plan_collection("ann", "x", model="m@1", dimensions=2, faces=faces, **values)


@both
def test_every_rate_that_can_be_asked_for_has_a_threshold(scale: Scale):
    rates = [1e-6, 1e-5, 3e-4, 1e-3, 0.05, 0.1]
    thresholds = [scale.threshold(rate) for rate in rates]
    assert thresholds == sorted(thresholds, reverse=True)
    assert all(-1 <= threshold <= 1 for threshold in thresholds)


@both
def test_a_larger_gallery_and_a_lower_rate_ask_for_more(scale: Scale):
    for rate in (1e-4, 0.01, 0.5):
        thresholds = [scale.gallery_threshold(rate, faces) for faces in FACES]
        assert thresholds == sorted(thresholds)
        assert thresholds[0] == thresholds[1]
        assert thresholds[1] < thresholds[2] <= 1
    for faces in FACES:
        falling = [scale.gallery_threshold(rate, faces) for rate in (1e-4, 1e-3, 0.01, 0.1, 0.5)]
        assert falling == sorted(falling, reverse=True)


@both
def test_bands_rise_with_the_score(scale: Scale):
    named = [scale.band(score) for score in np.linspace(-1, 1, 500)]
    assert [BANDS.index(band) for band in named] == sorted(BANDS.index(band) for band in named)
    assert set(named) == set(BANDS)
    assert scale.band(scale.threshold(1e-3)) == "likely"


@given(st.floats(-0.5, 0.5), st.floats(0.01, 0.3), st.floats(1e-6, 0.1))
def test_strangers_pass_a_trained_threshold_as_often_as_was_asked(
    mean: float, spread: float, rate: float
):
    scale = MeasuredScale.of({"impostor_mean": mean, "impostor_std": spread})
    threshold = scale.threshold(rate)
    passing = math.erfc((threshold - mean) / spread / math.sqrt(2)) / 2
    assert threshold == 1.0 or passing == pytest.approx(rate, rel=1e-6)


@given(st.integers(1, 10**12), st.floats(1e-4, 0.5))
def test_a_gallery_is_as_many_chances_to_be_mistaken(faces: int, rate: float):
    threshold = MeasuredScale.of({"impostor_mean": 0.0, "impostor_std": 0.1}).gallery_threshold(
        rate, faces
    )
    passing = math.erfc(threshold / 0.1 / math.sqrt(2)) / 2
    assert -np.expm1(faces * np.log1p(-passing)) == pytest.approx(rate, rel=1e-6)


def test_a_network_that_gives_all_strangers_one_score_has_thresholds_too():
    """Training may fail so; its model must not break every job that names it."""
    scale = MeasuredScale.of({"impostor_mean": 0.5, "impostor_std": 0.0})
    assert 0.5 < scale.threshold(1e-3) < 0.51
    assert 0.5 < scale.gallery_threshold(0.01, 10**6) < 0.51
    assert scale.band(0.5) == "unlikely"


@both
def test_a_face_is_the_same_as_itself_and_its_opposite_is_not(scale: Scale):
    [vector] = make_vectors(1, dimensions=128)
    same = compare(scale, vector, vector, "distance", 1e-3, None)
    assert (same.same, same.band, same.score) == (True, "very likely", 1.0)
    other = compare(scale, vector, -vector, "distance", 1e-3, None)
    assert (other.same, other.band, other.score) == (False, "unlikely", -1.0)
    assert same.threshold == scale.threshold(1e-3)


@pytest.mark.parametrize("method", ["distance", "classifier", "chi2"])
def test_every_method_decides_by_its_own_threshold(method: str):
    first, second = make_vectors(2, dimensions=128)
    for target in (1e-6, 1e-3, 0.1):
        found = compare(SHIPPED, first, second, method, target, None)
        assert found.same == (found.score >= found.threshold)
        assert not found.same
        assert compare(SHIPPED, first, first, method, target, None).same
    asked = compare(SHIPPED, first, second, method, 1e-3, found.score)
    assert asked.same
    assert asked.threshold == found.score
    assert not compare(SHIPPED, first, second, method, 1e-3, found.score + 1e-9).same


@pytest.mark.parametrize("method", ["classifier", "chi2"])
def test_a_trained_model_has_no_classifier_and_says_what_it_has(method: str):
    first, second = make_vectors(2)
    with pytest.raises(InvalidInput, match="method=distance"):
        compare(TRAINED, first, second, method, 1e-3, None)


def test_a_collection_uses_its_calibration_while_it_fits():
    measured = {"threshold": 0.9, "target_fpir": 0.01, "faces": 1000, "enough": True}
    estimated = TRAINED.gallery_threshold(0.01, 1000)
    fits = plan(1000, calibration=measured)
    assert choose_gallery_threshold(TRAINED, fits, None) == (0.9, True)
    assert choose_gallery_threshold(TRAINED, fits, 0.01) == (0.9, True)
    assert choose_gallery_threshold(TRAINED, plan(1000), None) == (estimated, False)
    assert choose_gallery_threshold(TRAINED, fits, 0.02) == (
        TRAINED.gallery_threshold(0.02, 1000),
        False,
    )


def test_a_collection_that_has_outgrown_its_calibration_is_careful():
    for threshold in (0.2, 0.99):
        measured = {"threshold": threshold, "target_fpir": 0.01, "faces": 1000, "enough": True}
        just, over = (plan(faces, calibration=measured) for faces in (1500, 1501))
        assert choose_gallery_threshold(TRAINED, just, None) == (threshold, True)
        estimated = TRAINED.gallery_threshold(0.01, 1501)
        assert choose_gallery_threshold(TRAINED, over, None) == (max(threshold, estimated), False)
    assert GROWN == 1.5


def test_a_collection_that_was_empty_when_measured_is_measured_no_more():
    measured = {"threshold": 0.5, "target_fpir": 0.01, "faces": 0, "enough": True}
    assert choose_gallery_threshold(TRAINED, plan(1, calibration=measured), None)[1] is False


def test_a_calibration_that_rests_on_too_little_is_a_lower_bound_only():
    measured = {"threshold": 0.1, "target_fpir": 0.01, "faces": 1000, "enough": False}
    estimated = TRAINED.gallery_threshold(0.01, 1000)
    found = choose_gallery_threshold(TRAINED, plan(1000, calibration=measured), None)
    assert found == (estimated, False)


def test_of_an_encoder_that_is_not_here_only_a_calibration_tells_a_threshold():
    measured = {"threshold": 0.4, "target_fpir": 0.01, "faces": 1000, "enough": False}
    scale = UnknownScale("arcface@1")
    with pytest.raises(NotCalibrated, match=r"faces\.calibrate"):
        choose_gallery_threshold(scale, plan(1000), None)
    assert choose_gallery_threshold(scale, plan(1000, calibration=measured), None) == (0.4, False)
    assert scale.band(0.9) == "uncertain"
