"""What every index promises, whichever library searches."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from shared.db import open_db
from shared.sealing import TenantKey
from tests.workers.faces.index.gallery import Gallery, make_faces, rank
from workers.faces.index.backend import VectorBackend

DIMENSIONS = 16
Open = Callable[[Gallery], VectorBackend]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture
def gallery() -> Gallery:
    return make_gallery("a")


@pytest.fixture
def open_local(tmp_path: Path) -> Iterator[Open]:
    from workers.faces.index.local import LocalBackend

    opened: list[VectorBackend] = []

    def open_index(gallery: Gallery) -> VectorBackend:
        opened.append(
            LocalBackend(gallery.collection_id, gallery.dimensions, gallery.key, tmp_path)
        )
        return opened[-1]

    yield open_index
    for index in opened:
        index.close()


@pytest.fixture
def open_milvus(tmp_path: Path, sqlite_database_url: str) -> Iterator[Open]:
    """Milvus Lite, the server as a library that keeps its data in a folder."""
    from milvus_lite import server_manager_instance

    from workers.faces.index.milvus import MilvusBackend

    sessions = open_db(sqlite_database_url)
    uri = str(tmp_path / "milvus.db")
    opened: list[VectorBackend] = []

    def open_index(gallery: Gallery) -> VectorBackend:
        opened.append(
            MilvusBackend(
                uri,
                "",
                gallery.collection_id,
                gallery.dimensions,
                gallery.key,
                gallery.fetch,
                sessions,
            )
        )
        return opened[-1]

    yield open_index
    for index in opened:
        index.close()
    server_manager_instance.release_server(uri)
    sessions.engine.dispose()


@pytest.fixture(params=["local", "milvus"])
def open_index(request: pytest.FixtureRequest) -> Open:
    opener: Open = request.getfixturevalue(f"open_{request.param}")
    return opener


def make_gallery(letter: str) -> Gallery:
    return Gallery(letter * 32, DIMENSIONS, TenantKey(bytes(32)))


def follow(index: VectorBackend, gallery: Gallery) -> None:
    index.apply(gallery.changes(index.applied_seq))


def test_an_enrolled_face_is_found_at_once(open_index, gallery, rng):
    index = open_index(gallery)
    faces = make_faces(rng, 5, DIMENSIONS)
    for face in faces:
        [number] = gallery.enrol(face[None], subject=int(10 * face[0]))
        follow(index, gallery)
        found = index.search(face[None], 1)
        assert found.numbers[0, 0] == number
        assert found.subjects[0, 0] == gallery.live[number][0]
        np.testing.assert_array_equal(found.vectors[0, 0], gallery.live[number][1])
    assert len(index) == 5
    assert index.applied_seq == gallery.seq


def test_a_deleted_face_is_never_found_again(open_index, gallery, rng):
    index = open_index(gallery)
    faces = make_faces(rng, 20, DIMENSIONS)
    numbers = gallery.enrol(faces)
    follow(index, gallery)
    gallery.delete(numbers[3], numbers[7])
    follow(index, gallery)
    for later in (index, open_index(gallery)):  # as it stands, and opened again
        follow(later, gallery)
        found = rank(faces[[3, 7]], later.search(faces[[3, 7]], 20))
        assert [sorted(row) for row in found] == [sorted(gallery.live)] * 2
        assert len(later) == 18


def test_repeated_and_outdated_changes_are_harmless(open_index, gallery, rng):
    index = open_index(gallery)
    faces = make_faces(rng, 10, DIMENSIONS)
    numbers = gallery.enrol(faces)
    before = gallery.changes()
    index.apply(before)
    index.apply(before)
    assert len(index) == 10
    gallery.delete(numbers[0])
    after = gallery.changes(before.seq)
    index.apply(after)
    index.apply(after)
    index.apply(before)  # holds the face that is gone
    index.apply(gallery.changes())
    assert len(index) == 9
    assert index.applied_seq == gallery.seq
    assert rank(faces, index.search(faces, 9)) == [gallery.nearest(face, 9) for face in faces]


def test_the_nearest_faces_are_the_candidates(open_index, gallery, rng):
    index = open_index(gallery)
    gallery.enrol(make_faces(rng, 300, DIMENSIONS))
    follow(index, gallery)
    queries = make_faces(rng, 8, DIMENSIONS)
    found = rank(queries, index.search(queries, 5))
    assert [row[:5] for row in found] == [gallery.nearest(query, 5) for query in queries]


def test_more_than_there_are_is_all_there_are(open_index, gallery, rng):
    index = open_index(gallery)
    gallery.enrol(make_faces(rng, 3, DIMENSIONS))
    follow(index, gallery)
    found = index.search(make_faces(rng, 2, DIMENSIONS), 10)
    assert found.numbers.shape == found.subjects.shape == found.vectors.shape[:2]
    for numbers, vectors in zip(found.numbers, found.vectors, strict=True):
        assert sorted(numbers[numbers >= 0]) == [1, 2, 3]
        assert not vectors[numbers < 0].any()


def test_an_empty_collection_finds_nobody(open_index, gallery, rng):
    index = open_index(gallery)
    assert len(index) == 0
    assert (index.search(make_faces(rng, 2, DIMENSIONS), 5).numbers == -1).all()
    [number] = gallery.enrol(make_faces(rng, 1, DIMENSIONS))
    follow(index, gallery)
    gallery.delete(number)
    follow(index, gallery)
    assert len(index) == 0
    assert (index.search(make_faces(rng, 2, DIMENSIONS), 5).numbers == -1).all()


def test_no_queries_get_no_answers(open_index, gallery, rng):
    index = open_index(gallery)
    gallery.enrol(make_faces(rng, 3, DIMENSIONS))
    follow(index, gallery)
    assert len(index.search(np.zeros((0, DIMENSIONS), np.float32), 5).numbers) == 0


def test_two_collections_do_not_mix(open_index, gallery, rng):
    other = make_gallery("b")
    faces = make_faces(rng, 10, DIMENSIONS)
    indexes = open_index(gallery), open_index(other)
    gallery.enrol(faces[:5])
    other.enrol(faces[5:])  # the same numbers
    follow(indexes[0], gallery)
    follow(indexes[1], other)
    for index, truth in zip(indexes, (gallery, other), strict=True):
        found = index.search(faces, 10)
        assert rank(faces, found) == [truth.nearest(face, 10) for face in faces]
    gallery.delete(1, 2, 3)
    follow(indexes[0], gallery)
    assert [len(index) for index in indexes] == [2, 5]


@pytest.mark.parametrize(
    "query",
    [
        np.full((1, DIMENSIONS), np.nan, np.float32),
        np.full((1, DIMENSIONS), np.inf, np.float32),
        np.ones((1, DIMENSIONS + 1), np.float32),
        np.ones(DIMENSIONS, np.float32),
    ],
    ids=["nan", "infinity", "dimensions", "shape"],
)
def test_what_is_no_query_is_refused(open_index, gallery, rng, query):
    index = open_index(gallery)
    gallery.enrol(make_faces(rng, 3, DIMENSIONS))
    follow(index, gallery)
    with pytest.raises(ValueError, match=r"Queries|query"):
        index.search(query, count=2)


def test_any_interleaving_equals_a_loop_over_all_faces(open_index, gallery, rng):
    index = open_index(gallery)
    kinds = ["enrol", "delete", "replay", "open", "search"]
    for kind in rng.choice(kinds, 200, p=[0.3, 0.2, 0.1, 0.05, 0.35]):
        match kind:
            case "enrol":
                gallery.enrol(make_faces(rng, int(rng.integers(1, 20)), DIMENSIONS))
            case "delete" if gallery.live:
                gallery.delete(*rng.permutation(list(gallery.live))[:3].tolist())
            case "replay":
                index.apply(gallery.changes(int(rng.integers(0, index.applied_seq + 1))))
            case "open":
                index = open_index(gallery)
            case _:
                follow(index, gallery)
                queries = make_faces(rng, 2, DIMENSIONS)
                found = rank(queries, index.search(queries, 7))
                assert [row[:7] for row in found] == [gallery.nearest(q, 7) for q in queries]
                assert len(index) == len(gallery.live)
