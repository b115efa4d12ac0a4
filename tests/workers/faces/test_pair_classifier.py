"""The classifiers on pairs of points: their features by definition, training, files."""

import numpy as np
import pytest
from sklearn.metrics.pairwise import additive_chi2_kernel

from workers.faces.pair_classifier import PairClassifier, features, split_signs

KINDS = ["classifier", "chi2"]


def draw_points(count: int, seed: int = 0) -> np.ndarray:
    points = np.random.default_rng(seed).normal(size=(count, 16)).astype(np.float32)
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def draw_pairs(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Half of them are one point with noise."""
    a, b = draw_points(count, 1), draw_points(count, 2)
    same = np.arange(count) % 2 == 0
    b[same] = a[same] + 0.1 * b[same]
    return a, b / np.linalg.norm(b, axis=1, keepdims=True), same


@pytest.mark.parametrize("kind", KINDS)
def test_training_tells_noise_from_strangers(kind):
    a, b, same = draw_pairs(400)
    trained = PairClassifier.fit(kind, a[:200], b[:200], same[:200])
    assert ((trained.predict(a[200:], b[200:]) > 0.5) == same[200:]).mean() > 0.97


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_a_pair_does_not_matter(kind):
    a, b, same = draw_pairs(100)
    trained = PairClassifier.fit(kind, a, b, same)
    assert np.array_equal(trained.score(a, b), trained.score(b, a))


def test_a_probability_is_the_formula():
    a, b, same = draw_pairs(100)
    trained = PairClassifier.fit("classifier", a, b, same)
    expected = 1 / (1 + np.exp(-(np.abs(a - b) @ trained.weights + trained.bias)))
    assert trained.predict(a, b) == pytest.approx(expected, rel=1e-4)


def test_chi_square_features_add_up_to_the_kernel_of_scikit_learn():
    a, b = draw_points(5, 1), draw_points(5, 2)
    kernel = -additive_chi2_kernel(split_signs(a), split_signs(b)).diagonal()
    assert features("chi2", a, b).sum(axis=1) == pytest.approx(kernel, rel=1e-2)


def test_parts_that_are_not_negative_make_up_the_point():
    points = draw_points(5)
    parts = split_signs(points)
    assert parts.shape == (5, 32)
    assert parts.min() >= 0
    assert np.array_equal(parts[:, :16] - parts[:, 16:], points)


@pytest.mark.parametrize("kind", KINDS)
def test_a_classifier_survives_its_file(kind, tmp_path):
    a, b, same = draw_pairs(100)
    trained = PairClassifier.fit(kind, a, b, same)
    trained.save(tmp_path / "pairs.safetensors")
    read = PairClassifier.load(tmp_path / "pairs.safetensors")
    assert read.kind == kind
    assert np.array_equal(read.predict(a, b), trained.predict(a, b))
