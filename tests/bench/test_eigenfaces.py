"""The baselines against their definitions."""

import numpy as np
import pytest

from bench.eigenfaces import Eigenfaces, encode_pixels, flatten
from workers.faces.evaluate import MAX_FACES, measure, score_pairs


def make_chips(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3), np.uint8)


def test_eigenfaces_are_the_directions_of_largest_variance():
    chips = make_chips(40)
    found = Eigenfaces(chips, 5).encode(chips)
    grey = flatten(chips).astype(np.float64)
    centred = grey - grey.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred)
    expected = centred @ vectors[:, np.argsort(values)[::-1][:5]]
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    # a direction has no sign, cosines have none of it
    assert np.allclose(found @ found.T, expected @ expected.T, atol=1e-4)


def test_the_cosine_of_pixels_is_their_correlation():
    chips = make_chips(6)
    points = encode_pixels(chips)
    assert np.allclose(points @ points.T, np.corrcoef(flatten(chips)), atol=1e-5)


def test_a_blank_face_is_not_divided_by_zero():
    assert np.isfinite(encode_pixels(np.full((1, 8, 8, 3), 7, np.uint8))).all()


def test_every_pair_is_scored_once():
    points = np.eye(4, dtype=np.float32)
    points[1] = points[0]
    genuine, impostor = score_pairs(points, np.array([0, 0, 1, 1]))
    assert genuine.tolist() == [1, 0]
    assert impostor.tolist() == [0, 0, 0, 0]


def test_many_faces_are_sampled_alike_each_time():
    points = np.random.default_rng(0).normal(size=(MAX_FACES + 50, 2)).astype(np.float32)
    labels = np.arange(len(points)) // 2
    first, again = score_pairs(points, labels), score_pairs(points, labels)
    assert len(first[0]) + len(first[1]) == MAX_FACES * (MAX_FACES - 1) // 2
    assert np.array_equal(first[0], again[0])


def test_the_metrics_of_a_perfect_encoder():
    found = measure(np.full(50, 0.9), np.linspace(-0.5, 0.5, 2000))
    assert found["eer"] == pytest.approx(0)
    assert found["tar_at_far_0.001"] == 1
    assert (found["genuine_pairs"], found["impostor_pairs"]) == (50, 2000)
