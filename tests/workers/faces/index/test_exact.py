"""Faces in memory: every tail keeps what it had, whatever comes after it."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.workers.faces.index.gallery import make_faces
from workers.faces.index.exact import Tail

D = 8


def fill(sizes, rng):
    """A tail after each addition, and all vectors."""
    vectors = make_faces(rng, sum(sizes), D).astype(np.float16)
    tails, start = [Tail.empty(D)], 0
    for size in sizes:
        numbers = np.arange(start, start + size)
        tails.append(tails[-1].add(numbers, 2 * numbers, vectors[start : start + size]))
        start += size
    return tails, vectors


@given(st.lists(st.integers(1, 20), max_size=8))
def test_older_tails_do_not_change_when_faces_are_added(sizes):
    tails, vectors = fill(sizes, np.random.default_rng(1))
    for tail in tails:
        assert tail.numbers.tolist() == list(range(len(tail)))
        assert tail.subjects.tolist() == list(range(0, 2 * len(tail), 2))
        np.testing.assert_array_equal(tail.vectors, vectors[: len(tail)])


@given(st.integers(1, 60), st.integers(1, 80))
def test_the_nearest_are_those_that_score_most(size, count):
    [_, tail], vectors = fill([size], np.random.default_rng(2))
    queries = make_faces(np.random.default_rng(3), 4, D)
    scores = queries @ vectors.astype(np.float32).T
    expected = np.sort(np.argsort(-scores, axis=1)[:, :count], axis=1)
    np.testing.assert_array_equal(np.sort(tail.nearest(queries, count), axis=1), expected)


def test_nothing_is_kept_of_a_face_that_is_dropped(rng):
    [*_, tail], vectors = fill([5, 5], rng)
    left = tail.keep(tail.numbers != 7)
    assert left.numbers.tolist() == [0, 1, 2, 3, 4, 5, 6, 8, 9]
    assert vectors[7].astype(np.float32).tobytes() not in left.room.tobytes()
