"""The arithmetic of the index benchmark: its data, its truth, its misses."""

from pathlib import Path

import numpy as np
import pytest

from bench.faces_index import Truth, find_exactly
from bench.faces_measure import score_exactly
from bench.faces_rows import COLLECTION, KEY, Data, make_changes
from bench.faces_synthetic import CHUNK, PER_SUBJECT, PROBES, make_chunk, make_probes, write_faces
from workers.faces.index.backend import open_vector


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    folder: Path = tmp_path_factory.mktemp("faces")
    return Data(folder, write_faces(folder / "faces.npy", 128, 2 * CHUNK), make_probes(128))


def test_the_faces_are_the_same_every_time(data):
    np.testing.assert_array_equal(data.faces[CHUNK:], make_chunk(128, 1))
    np.testing.assert_array_equal(data.probes.all, make_probes(128).all)


@pytest.mark.parametrize(
    ("dimensions", "same", "others", "poor"), [(512, 0.72, 0.054, 0.53), (128, 0.79, 0.107, 0.68)]
)
def test_cosines_are_spread_as_those_of_real_faces(dimensions, same, others, poor):
    faces = make_chunk(dimensions, 0).astype(np.float32)
    probes = make_probes(dimensions)
    persons = faces.reshape(-1, PER_SUBJECT, dimensions)
    assert (persons[:, 0] * persons[:, 1]).sum(axis=1).mean() == pytest.approx(same, abs=0.01)
    strange = probes.strangers[:500] @ faces.T
    assert strange.std() == pytest.approx(others, abs=0.002)
    assert abs(strange.mean()) < 0.002
    best = np.einsum("pd,pkd->pk", probes.poor, persons[:PROBES]).max(axis=1)
    assert best.mean() == pytest.approx(poor, abs=0.01)


def test_an_exact_search_finds_the_largest_product(data):
    rows, scores = find_exactly(data)
    some = slice(0, 3 * PROBES, 100)
    products = data.probes.all[some].astype(np.float64) @ data.faces.astype(np.float64).T
    np.testing.assert_array_equal(rows[some], products.argmax(axis=1))
    np.testing.assert_allclose(scores[some], products.max(axis=1), atol=1e-12)


def test_places_without_a_candidate_never_win(data):
    rows = np.array([[-1, 5, -1, 9], [-1, -1, -1, -1]])
    best, scores = score_exactly(data.faces, -data.faces[[5, 9]].astype(np.float32), rows)
    assert best[0] == 9
    assert scores[1] == -np.inf


def test_a_miss_is_the_wrong_person_or_a_score_beneath_the_threshold():
    rows = np.tile(np.arange(PROBES) * PER_SUBJECT + 3, 2)
    rows = np.concatenate([rows, np.zeros(100, np.int64)])
    scores = np.concatenate([np.full(2 * PROBES, 0.9), np.linspace(0, 1, 100)])
    truth = Truth(rows.copy(), threshold=0.895)
    assert truth.judge((rows, scores)) == {
        "recall@1 poor": 1.0,
        "FNIR mated": 0.0,
        "FNIR poor": 0.0,
        "FPIR": pytest.approx(0.11),
    }
    rows[:10] += PER_SUBJECT  # the next person
    rows[PROBES] += 1  # another picture of the same
    scores[PROBES + 1 : PROBES + 6] = 0.89
    judged = truth.judge((rows, scores))
    assert judged["FNIR mated"] == pytest.approx(0.01)
    assert judged["FNIR poor"] == pytest.approx(0.005)
    assert judged["recall@1 poor"] == pytest.approx(0.999)


def test_the_enrolment_holds_every_face_once(data):
    changes = list(make_changes(data.faces, after=CHUNK - 5))
    numbers = np.concatenate([change.numbers for change in changes])
    np.testing.assert_array_equal(numbers, np.arange(CHUNK - 5, 2 * CHUNK) + 1)
    assert changes[-1].seq == 2 * CHUNK
    vector = open_vector(KEY, COLLECTION, int(numbers[0]), changes[0].sealed[0])
    np.testing.assert_array_equal(vector, data.faces[CHUNK - 5])
