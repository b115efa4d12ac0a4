"""Subjects near a face: the same as a plain loop over every face finds."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workers.faces.site import make_vectors
from workers.faces.index.backend import Candidates
from workers.faces.matching import DECIMALS, FIRST_LOOK, find_subjects, rescore

# Few directions, so that many faces score alike.
CORNERS = np.array(np.meshgrid(*[[-1, 0, 1]] * 3)).reshape(3, -1).T
CORNERS = CORNERS[np.abs(CORNERS).sum(axis=1) > 0]


@dataclass
class Faces:
    """An exact index that breaks ties as it likes."""

    vectors: np.ndarray  # (N, D) float16
    subjects: np.ndarray  # (N,) int64
    seed: int = 0
    asked: list[tuple[int, int]] = field(default_factory=list)  # (queries, count) of each search

    @property
    def numbers(self) -> np.ndarray:
        return np.arange(10, 10 + len(self.subjects))

    def search(self, queries: np.ndarray, count: int) -> Candidates:
        self.asked.append((len(queries), count))
        shape = len(queries), count
        numbers, subjects = np.full(shape, -1), np.full(shape, -1)
        vectors = np.zeros((*shape, self.vectors.shape[1]), np.float16)
        for row, query in enumerate(queries):
            shuffled = np.random.default_rng(self.seed + row).permutation(len(self.subjects))
            scores = self.vectors[shuffled].astype(np.float64) @ query.astype(np.float64)
            best = shuffled[np.argsort(-scores, kind="stable")][:count]
            numbers[row, : len(best)] = self.numbers[best]
            subjects[row, : len(best)] = self.subjects[best]
            vectors[row, : len(best)] = self.vectors[best]
        return Candidates(numbers, subjects, vectors)

    def loop(self, query: np.ndarray, limit: int, lowest: float) -> list[tuple[int, int, float]]:
        """(subject, its nearest face, score), best first."""
        best: dict[int, tuple[float, int]] = {}
        for number, subject, vector in zip(
            self.numbers.tolist(), self.subjects.tolist(), self.vectors, strict=True
        ):
            score = round(float(vector.astype(np.float64) @ query.astype(np.float64)), DECIMALS)
            if subject not in best or score > best[subject][0]:
                best[subject] = score, number
        ranked = sorted((-score, number, subject) for subject, (score, number) in best.items())
        return [(who, face, -minus) for minus, face, who in ranked if -minus >= lowest][:limit]


def find(faces: Faces, queries: np.ndarray, limit: int, lowest: float) -> list[list[tuple]]:
    wide = queries.astype(np.float32)
    found = find_subjects(faces.search, wide, len(faces.subjects), limit, lowest)
    return [[(match.subject, match.number, match.score) for match in near] for near in found]


@st.composite
def galleries(draw: Callable) -> Faces:
    size = draw(st.integers(0, 4 * FIRST_LOOK))
    people = draw(st.integers(1, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    vectors = CORNERS[rng.integers(0, draw(st.integers(1, len(CORNERS))), size)]
    vectors = vectors + draw(st.sampled_from([0.0, 1e-4, 0.3])) * rng.standard_normal(vectors.shape)
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return Faces(vectors.astype(np.float16), rng.integers(0, people, size), draw(st.integers(0, 9)))


@given(galleries(), st.integers(1, 30), st.sampled_from([-1.0, -0.2, 0.5, 0.9, 1.0, 1.1]))
def test_the_nearest_subjects_are_those_of_a_plain_loop(faces: Faces, limit: int, lowest: float):
    queries = (CORNERS[:4] / np.linalg.norm(CORNERS[:4], axis=1, keepdims=True)).astype(np.float16)
    wanted = [faces.loop(query, limit, lowest) for query in queries]
    assert find(faces, queries, limit, lowest) == wanted


def test_of_equal_faces_the_first_enrolled_counts_however_many_there_are():
    """More than one look at the index shows."""
    faces = Faces(np.tile(make_vectors(1), (500, 1)), np.arange(500))
    assert [match[:2] for match in find(faces, make_vectors(1), 2, 0.5)[0]] == [(0, 10), (1, 11)]


def test_a_subject_with_many_faces_does_not_hide_the_next():
    vectors = make_vectors(2)
    near = np.concatenate([np.tile(vectors[0], (1000, 1)), vectors])
    faces = Faces(near, np.array([7] * 1000 + [7, 8]))
    [found] = find(faces, vectors[:1], 2, -1.0)
    assert [match[:2] for match in found] == [(7, 10), (8, 1011)]
    assert [count for _, count in faces.asked] == [40, 160, 640, 1002]


def test_only_the_queries_that_need_it_are_searched_again():
    vectors = make_vectors(200)
    faces = Faces(
        np.concatenate([np.tile(vectors[0], (100, 1)), vectors]),
        np.array([0] * 100 + [*range(200)]),
    )
    find(faces, vectors[:3], 2, 0.9)
    assert faces.asked == [(3, FIRST_LOOK), (1, 160)]


def test_a_search_ends_where_scores_are_too_low():
    faces = Faces(make_vectors(5000), np.arange(5000))
    assert find(faces, make_vectors(1), 5, 0.99) == [[(0, 10, pytest.approx(1.0, abs=2e-3))]]
    assert faces.asked == [(1, FIRST_LOOK)]


def test_an_empty_collection_names_nobody():
    faces = Faces(np.zeros((0, 16), np.float16), np.zeros(0, np.int64))
    assert find(faces, make_vectors(3), 5, -1.0) == [[], [], []]
    assert find(faces, make_vectors(0), 5, -1.0) == []


def test_a_score_is_one_less_half_of_the_squared_distance():
    vectors = make_vectors(50).astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = Faces(vectors.astype(np.float16), np.arange(50)).search(vectors[:5], 50)
    squares = ((vectors[:5, None] - vectors[found.numbers - 10]) ** 2).sum(axis=2)
    np.testing.assert_allclose(rescore(vectors[:5], found), 1 - squares / 2, atol=2e-3)


def test_the_mean_score_is_that_of_the_mean_of_the_subjects_faces():
    vectors = make_vectors(12)
    faces = Faces(vectors, np.arange(12) % 3)
    query = make_vectors(1, seed=5)
    [matches] = find_subjects(faces.search, query.astype(np.float32), 12, 3, -1.0)
    assert len(matches) == 3
    for match in matches:
        own = vectors[match.subject :: 3].astype(np.float64)
        mean = own.mean(axis=0) / np.linalg.norm(own.mean(axis=0))
        assert match.mean_score == pytest.approx(float(mean @ query[0]), abs=1e-5)
        assert match.faces == 4


def test_opposite_faces_of_one_subject_have_no_mean_but_a_score():
    vector = make_vectors(1)
    faces = Faces(np.concatenate([vector, -vector]), np.array([1, 1]))
    [[match]] = find_subjects(faces.search, vector.astype(np.float32), 2, 2, -1.0)
    assert (match.number, match.mean_score) == (10, pytest.approx(0.0, abs=1e-6))
