"""Quality falls with blur, with size, with a turned head, and only then."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageEnhance, ImageFilter

from workers.faces.find import Found
from workers.faces.quality import FULL_SIZE, Quality, estimate_pose, measure_detail, rate

# A mean head, millimetres to the right, down and towards the camera: eyes, nose, mouth corners.
HEAD = np.array([[-31, -33, 0], [31, -33, 0], [0, 0, 31], [-27, 29, 3], [27, 29, 3]], np.float64)
POSE = {"yaw": 0, "pitch": 1, "roll": 2}


def look(yaw: float = 0, pitch: float = 0, roll: float = 0) -> np.ndarray:
    """Landmarks (5, 2) of the head seen from afar; degrees to the right, down, clockwise."""
    y, p, r = np.radians([yaw, pitch, roll])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(p), np.sin(p)], [0, -np.sin(p), np.cos(p)]])
    about_z = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    return (HEAD @ about_y.T @ about_x.T @ about_z.T)[:, :2].astype(np.float32)


def made(landmarks: np.ndarray, score: float = 1.0) -> Found:
    return Found((0.0, 0.0, 1.0, 1.0), score, landmarks)


@pytest.fixture(scope="session")
def portrait(finder, photo) -> tuple[Image.Image, Found]:
    picture = photo("obama.jpg")
    return picture, finder.find(picture)[0]


def test_a_sharp_portrait_is_rated_high(portrait):
    quality = rate(*portrait)
    assert quality.size == 1
    assert min(quality.sharpness, quality.pose, quality.detector) > 0.7
    assert quality.overall > 0.85


def test_more_blur_is_less_sharpness_and_quality(portrait):
    picture, found = portrait
    radii = [0, 2, 4, 8]
    rated = [rate(picture.filter(ImageFilter.GaussianBlur(radius)), found) for radius in radii]
    for sharper, softer in pairwise(rated):
        assert softer.sharpness < sharper.sharpness
        assert softer.overall < sharper.overall
    assert rated[-1].sharpness < 0.2
    assert {quality.pose for quality in rated} == {rated[0].pose}


def test_a_shrunken_face_is_rated_lower_in_size_and_quality(portrait):
    picture, found = portrait
    rated = []
    for scale in (0.5, 0.3, 0.15, 0.08):
        small = picture.resize([round(side * scale) for side in picture.size])
        rated.append(rate(small, made(found.landmarks * scale, found.score)))
    sizes, wholes = [r.size for r in rated], [r.overall for r in rated]
    assert sizes == sorted(sizes, reverse=True)
    assert wholes == sorted(wholes, reverse=True)
    eyes = math.dist(*found.landmarks[:2])
    assert rated[-1].size == pytest.approx(eyes * 0.08 / FULL_SIZE, rel=1e-5)
    assert rated[-1].overall < 0.7 * rated[0].overall


def test_a_face_blown_up_gains_nothing(portrait):
    picture, found = portrait
    small = picture.resize([side // 8 for side in picture.size])
    before = rate(small, made(found.landmarks / 8))
    large = small.resize([side * 8 for side in small.size], Image.Resampling.BICUBIC)
    after = rate(large, made(found.landmarks))
    assert after.size == 1  # nobody can tell from the size alone
    assert after.sharpness <= before.sharpness
    assert after.sharpness < 0.75 * rate(picture, found).sharpness


@pytest.mark.parametrize("axis", ["yaw", "pitch", "roll"])
@pytest.mark.parametrize("sign", [-1, 1])
def test_the_farther_a_head_turns_the_lower_its_pose(axis, sign, portrait):
    picture, _ = portrait
    centre = np.array([480, 250])
    poses = [
        rate(picture, made(look(**{axis: sign * angle}) + centre)).pose
        for angle in range(0, 85, 10)
    ]
    assert poses[0] > 0.99
    assert poses == sorted(poses, reverse=True)
    assert poses[-1] < 0.35


@pytest.mark.parametrize("axis", ["yaw", "pitch", "roll"])
@pytest.mark.parametrize("angle", [-45, -20, 0, 20, 45])
def test_angles_are_estimated_within_a_few_degrees(axis, angle):
    degrees = np.degrees(estimate_pose(look(**{axis: angle}) * 3.7 + 100))
    expected = np.zeros(3)
    expected[POSE[axis]] = angle
    assert np.abs(degrees - expected).max() < 8


def test_a_face_turned_away_or_upside_down_is_worth_nothing(portrait):
    picture, _ = portrait
    for angles in ({"yaw": 100}, {"roll": 180}):
        quality = rate(picture, made(look(**angles) + np.array([480, 250])))
        assert quality.pose == 0
        assert quality.overall == 0


def test_a_pale_picture_is_not_taken_for_a_blurred_one(portrait):
    picture, found = portrait
    pale = ImageEnhance.Contrast(picture).enhance(0.4)
    assert rate(pale, found).sharpness == pytest.approx(rate(picture, found).sharpness, abs=0.06)


def test_a_plain_surface_has_no_detail():
    assert measure_detail(np.full((40, 40, 3), 90, np.uint8)) == 0


@pytest.mark.parametrize("score", [0.25, 0.9, 1.0])
def test_the_whole_is_the_geometric_mean_of_the_parts(score, portrait):
    picture, found = portrait
    quality = rate(picture, made(found.landmarks, score))
    parts = [quality.size, quality.sharpness, quality.pose, quality.detector]
    assert quality.overall == pytest.approx(math.prod(parts) ** (1 / 4))
    assert quality.detector == score


@given(landmarks=arrays(np.float32, (5, 2), elements=st.floats(-50, 250, width=32)))
def test_any_landmarks_are_rated_in_range_or_refused(landmarks):
    try:
        quality = rate(Image.effect_noise((200, 200), 60).convert("RGB"), made(landmarks))
    except ValueError:
        return
    assert isinstance(quality, Quality)
    assert all(0 <= value <= 1 for value in vars(quality).values())
