"""A calibrated threshold lets strangers through as often as it was asked to."""

from collections.abc import Iterator

import numpy as np
import pytest
from sqlalchemy import delete

from shared.db import Sessions, open_db
from shared.face_tables import Face
from tests.workers.faces.site import KEY, add_collection, add_faces, make_vectors, reread
from workers.faces.calibrate import calibrate
from workers.faces.gallery import Collection
from workers.faces.index.backend import Candidates, open_vector
from workers.faces.index.exact import Tail
from workers.faces.index.follow import read_changes
from workers.faces.matching import DECIMALS
from workers.runtime.run import Cancelled, InvalidInput


@pytest.fixture
def sessions(sqlite_database_url: str) -> Iterator[Sessions]:
    opened = open_db(sqlite_database_url)
    yield opened
    opened.engine.dispose()


def make_people(people: int, each: int, seed: int = 0, spread: float = 0.15) -> np.ndarray:
    """(people * each, D) float16: faces of one person lie together."""
    rng = np.random.default_rng(seed)
    centres = np.repeat(make_vectors(people, seed).astype(np.float64), each, axis=0)
    wide = centres + spread * rng.standard_normal(centres.shape)
    return (wide / np.linalg.norm(wide, axis=1, keepdims=True)).astype(np.float16)


def fill(sessions: Sessions, people: int, each: int, **options: float) -> Collection:
    collection = add_collection(sessions)
    names = [f"p{number}" for number in range(people) for _ in range(each)]
    add_faces(sessions, collection, *names, vectors=make_people(people, each, **options))
    return reread(sessions, collection)


def search_all(sessions: Sessions, collection: Collection):
    """An exact index of the collection as it is now."""
    with sessions.read() as session:
        changes = read_changes(session, collection.id, 0)
    vectors = [
        open_vector(KEY, collection.id, number, sealed)
        for number, sealed in zip(changes.numbers.tolist(), changes.sealed, strict=True)
    ]
    wide = np.array(vectors, np.float32).reshape(-1, collection.dimensions)
    tail = Tail.empty(collection.dimensions).add(changes.numbers, changes.subjects, wide)

    def search(_: Collection, queries: np.ndarray, count: int) -> Candidates:
        places = tail.nearest(queries, count)
        vectors = tail.vectors[places].astype(np.float16)
        return Candidates(tail.numbers[places], tail.subjects[places], vectors)

    return search


def measure(sessions: Sessions, collection: Collection, target: float = 0.01, probes: int = 10_000):
    steps: list[float] = []
    found = calibrate(
        sessions,
        KEY,
        collection,
        search_all(sessions, collection),
        target,
        probes,
        lambda share, _: steps.append(share),
    )
    assert steps == sorted(steps)
    assert steps[-1] == 1.0
    return found


@pytest.mark.parametrize("target", [0.2, 0.05, 0.01])
def test_fresh_strangers_are_named_as_often_as_was_asked(sessions: Sessions, target: float):
    collection = fill(sessions, people=700, each=2)
    found = measure(sessions, collection, target)
    assert found.measured_fpir <= target
    assert found.measured_fpir == pytest.approx(target, rel=0.1)
    assert found.probes == found.faces == 1400
    strangers = make_people(2000, 1, seed=99).astype(np.float64)
    enrolled = make_people(700, 2).astype(np.float64)
    named = ((strangers @ enrolled.T).max(axis=1) >= found.threshold).mean()
    # Three standard errors of both measurements.
    assert named == pytest.approx(target, abs=3 * np.sqrt(target * (1 / 2000 + 1 / 700)))


@pytest.mark.parametrize("spread", [0.15, 0.6])
def test_it_measures_what_a_plain_loop_over_all_pairs_does(sessions: Sessions, spread: float):
    collection = fill(sessions, people=100, each=3, spread=spread)
    found = measure(sessions, collection, 0.1)
    vectors, owners = make_people(100, 3, spread=spread).astype(np.float64), np.arange(300) // 3
    scores = (vectors @ vectors.T).round(DECIMALS)
    rivals = np.where(owners[:, None] != owners, scores, -1).max(axis=1)
    mates = np.where((owners[:, None] == owners) & ~np.eye(300, dtype=bool), scores, -1).max(axis=1)
    assert found.measured_fpir == (rivals >= found.threshold).mean() <= 0.1
    assert (rivals >= found.threshold - 10.0**-DECIMALS).mean() > 0.1
    assert found.fnir == (mates < found.threshold).mean()
    assert (found.fnir > 0.5) == (spread > 0.5)


def test_too_few_false_matches_are_not_enough(sessions: Sessions):
    collection = fill(sessions, people=50, each=1)
    found = measure(sessions, collection, 0.0001)
    assert not found.enough
    assert found.measured_fpir == 0.0
    assert found.fnir is None
    assert found.threshold < 1.001
    assert measure(sessions, fill_more(sessions, collection), 0.5).enough


def fill_more(sessions: Sessions, collection: Collection) -> Collection:
    vectors = make_people(50, 1, seed=3)
    add_faces(sessions, collection, *[f"q{number}" for number in range(50)], vectors=vectors)
    return reread(sessions, collection)


def test_a_sample_of_faces_is_the_same_each_time(sessions: Sessions):
    collection = fill(sessions, people=100, each=2)
    first, again = (measure(sessions, collection, 0.05, probes=100) for _ in "12")
    assert first == again
    assert first.probes == 100


@pytest.mark.parametrize("people", [0, 1, 9])
def test_too_few_people_are_refused(sessions: Sessions, people: int):
    collection = fill(sessions, people=people, each=30) if people else add_collection(sessions)
    with pytest.raises(InvalidInput, match="At least 10 people"):
        measure(sessions, collection)


def test_people_with_very_many_alike_faces_can_be_measured(sessions: Sessions):
    """The nearest faces of each are all its own."""
    collection = fill(sessions, people=10, each=100, spread=0.0)
    found = measure(sessions, collection, 0.1)
    assert found.probes == 1000
    assert found.fnir == 0.0


def test_a_face_that_is_deleted_meanwhile_is_left_out(sessions: Sessions):
    collection = fill(sessions, people=100, each=1)
    search = search_all(sessions, collection)
    with sessions.begin() as session:
        session.execute(delete(Face).where(Face.number > 190))
    found = calibrate(sessions, KEY, collection, search, 0.1, 1000, lambda *_: None)
    assert found.probes == 90


def test_it_can_be_cancelled(sessions: Sessions):
    collection = fill(sessions, people=100, each=1)

    def stop(*_: object) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        calibrate(sessions, KEY, collection, search_all(sessions, collection), 0.1, 1000, stop)
