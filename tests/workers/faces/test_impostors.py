"""Measuring an encoder on labelled points: every pair once, thresholds that keep their rate."""

import numpy as np
import pytest

from workers.faces.impostors import (
    cosine,
    encode_files,
    find_thresholds,
    list_rates,
    measure,
    read_pairs,
    score_all,
)
from workers.faces.metrics import threshold_at_far


def draw_people(people: int, each: int) -> tuple[np.ndarray, np.ndarray]:
    """Points around a point for each person."""
    random = np.random.default_rng(0)
    names = np.repeat(np.arange(people), each)
    points = random.normal(size=(people, 8))[names] + 0.3 * random.normal(size=(len(names), 8))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32), names


def test_every_pair_is_scored_once():
    points, people = draw_people(4, 3)
    genuine, impostor = score_all(points, people, cosine)
    table, above = points @ points.T, np.triu(np.ones((12, 12), bool), 1)
    same = people[:, None] == people
    assert np.sort(genuine) == pytest.approx(np.sort(table[above & same]), abs=1e-6)
    assert np.sort(impostor) == pytest.approx(np.sort(table[above & ~same]), abs=1e-6)


def test_a_threshold_is_the_exact_one_rounded_up():
    scores = np.random.default_rng(0).normal(size=10_000).astype(np.float32)
    rates = [0.5, 0.1, 1e-3, 1e-4, 1e-5]
    for rate, threshold in zip(rates, find_thresholds(scores, rates), strict=True):
        assert (scores.astype(np.float64) >= threshold).mean() <= rate
        assert 0 <= threshold - threshold_at_far(scores, rate) < 2e-6


def test_rates_fall_from_a_half_to_one_in_a_million():
    rates = list_rates()
    assert rates[0] == pytest.approx(0.501)
    assert rates[-1] == 1e-6
    assert {0.1, 1e-2, 1e-3, 1e-4, 1e-5} <= set(rates)


def test_a_calibration_says_what_it_rests_on():
    points, people = draw_people(20, 5)
    found = measure(points, people, {"distance": cosine}, model="m", version="1", source="here")
    assert (found.faces, found.people) == (100, 20)
    assert found.genuine.pairs == 20 * 10
    assert found.impostor.pairs == 100 * 99 // 2 - 200
    assert found.genuine.mean > 0.8 > found.impostor.mean
    assert found.accepted["distance"] == sorted(found.accepted["distance"], reverse=True)
    assert found.accepted["distance"][0] > 0.95


def test_pairs_are_read_by_line(tmp_path):
    (tmp_path / "pairs").write_text("a/1.jpg\ta/2.jpg\t1\na/1.jpg b/1.jpg 0\n")
    first, second, same = read_pairs(tmp_path / "pairs")
    assert first == ["a/1.jpg", "a/1.jpg"]
    assert second == ["a/2.jpg", "b/1.jpg"]
    assert same.tolist() == [True, False]


class MiddleColour:
    """An encoder that only tells the colour in the middle."""

    name, version, dimensions, side = "middle", "1", 3, 9
    template = np.array([[2, 3], [6, 3], [4, 5], [3, 7], [5, 7]], np.float32)

    def encode(self, chips):
        middles = np.stack([chip[4, 4] for chip in chips]).astype(np.float32)
        return middles / np.linalg.norm(middles, axis=1, keepdims=True)


def test_files_come_back_in_order_and_as_they_would_be_stored(weights, finder):
    paths = [weights / "obama.jpg", weights / "astronaut.png", weights / "obama.jpg"]
    points = encode_files(paths, finder, MiddleColour())
    assert np.array_equal(points[0], points[2])
    assert not np.array_equal(points[0], points[1])
    assert np.array_equal(points, points.astype(np.float16).astype(np.float32))


def test_a_file_without_a_face_is_named(weights, finder):
    with pytest.raises(ValueError, match=r"no face was found in .*china\.jpg"):
        encode_files([weights / "china.jpg"], finder, MiddleColour())
