"""Segments: what was written is read, and nothing else is."""

from pathlib import Path

import numpy as np
import pytest

from shared.sealing import Tampered, TenantKey
from tests.workers.faces.index.gallery import make_faces
from workers.faces.index.backend import seal_vector, sealed_size
from workers.faces.index.files import Place
from workers.faces.index.segment import SUFFIXES, SealedFace, Segment, write_segment

D, COUNT = 16, 300
KEY = TenantKey(bytes(32))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, "a" * 32, D, KEY)


@pytest.fixture
def vectors(rng) -> np.ndarray:
    return make_faces(rng, COUNT, D).astype(np.float16)


@pytest.fixture
def segment(place, vectors) -> Segment:
    """Faces 10, 20, 30 ... of subjects 1, 2, 3 ..."""
    return write(place, "one", vectors)


def write(place, name, vectors, first=1):
    faces = [
        SealedFace(10 * i, i, seal_vector(place.key, place.collection_id, 10 * i, vector))
        for i, vector in enumerate(vectors, start=first)
    ]
    assert write_segment(place, name, faces) == len(faces)
    return Segment.open(place, name)


def numbers_near(segment, queries, count):
    distances, positions = segment.nearest(queries.astype(np.float32), count)
    assert np.isfinite(distances).all()
    return segment.numbers[positions]


def test_what_was_written_is_read(segment, vectors):
    assert segment.numbers.tolist() == list(range(10, 10 * COUNT + 1, 10))
    assert segment.subjects.tolist() == list(range(1, COUNT + 1))
    np.testing.assert_array_equal(segment.vectors(np.arange(COUNT)), vectors)
    assert [face.number for face in segment.faces()] == segment.numbers.tolist()


def test_rows_are_the_sealed_embeddings_byte_by_byte(segment):
    content = (segment.place.folder / "one.rows").read_bytes()
    assert b"".join(face.sealed for face in segment.faces()) == content


def test_files_are_for_nobody_else(segment):
    for path in segment.place.folder.iterdir():
        assert path.stat().st_mode & 0o077 == 0


def test_a_face_is_nearest_to_itself(segment, vectors):
    near = numbers_near(segment, vectors, 20)
    assert (near == segment.numbers[:, None]).any(axis=1).all()


def test_all_faces_are_found_if_all_are_asked_for(segment, vectors):
    near = numbers_near(segment, vectors[:3], 10 * COUNT)
    assert [sorted(row) for row in near.tolist()] == [segment.numbers.tolist()] * 3


def test_no_faces_make_no_files(place):
    assert write_segment(place, "none", []) == 0
    assert not list(place.folder.iterdir())


def test_erased_faces_are_not_found_and_the_others_take_their_places(segment, vectors):
    query = vectors[:1]
    gone = numbers_near(segment, query, 100)[0]
    left = segment.erase(gone)
    assert (len(left), left.dead) == (COUNT - 100, 100)
    near = numbers_near(left, query, 100)[0]
    assert len(near) == 100
    assert not set(near) & set(gone)


def test_a_segment_without_live_faces_finds_nothing(segment, vectors):
    empty = segment.erase(segment.numbers)
    assert len(empty) == 0
    assert empty.nearest(vectors[:2].astype(np.float32), 5)[0].shape == (2, 0)


def test_numbers_that_are_not_here_erase_nothing(segment):
    assert segment.erase(np.array([5, 15, 10 * COUNT + 10])) is segment


def test_an_erased_row_is_zeros_for_every_process(place, segment):
    other = Segment.open(place, "one")
    segment.erase(np.array([20]))
    size = sealed_size(D)
    assert (place.folder / "one.rows").read_bytes()[size : 2 * size] == bytes(size)
    assert not other.vectors(np.array([1])).any()
    assert [face.number for face in other.faces()][:2] == [10, 30]


def test_who_held_the_segment_before_still_finds_the_face(segment, vectors):
    segment.erase(np.array([20]))
    assert 20 in numbers_near(segment, vectors[1:2], 1)


@pytest.mark.usefixtures("segment")
@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("harm", ["flip", "cut", "grow", "swap"])
def test_a_file_that_was_changed_is_refused(place, vectors, suffix, harm):
    path = place.folder / f"one{suffix}"
    content = path.read_bytes()
    if harm == "swap":
        write(place, "two", vectors, first=COUNT + 1)
    for changed in changes_of(content, harm, place.folder / f"two{suffix}"):
        path.write_bytes(changed)
        with pytest.raises(Tampered):
            read_all(place)


def changes_of(content, harm, other):
    """The content with one bit changed in each of 64 regions, or made of other bytes."""
    if harm == "flip":
        for start in range(0, len(content), max(1, len(content) // 64)):
            changed = bytearray(content)
            changed[start] ^= 1
            yield bytes(changed)
    elif harm == "cut":
        yield from (b"", content[:1], content[: len(content) // 2], content[:-1])
    elif harm == "grow":
        yield content + b"\0"
    else:
        yield other.read_bytes()


def read_all(place):
    Segment.open(place, "one").vectors(np.arange(COUNT))


@pytest.mark.usefixtures("segment")
def test_another_tenants_key_opens_nothing(place):
    foreign = Place(place.folder, place.collection_id, D, TenantKey(bytes([1] * 32)))
    with pytest.raises(Tampered):
        Segment.open(foreign, "one")


@pytest.mark.usefixtures("segment")
def test_another_collections_files_are_refused(place):
    with pytest.raises(Tampered):
        Segment.open(Place(place.folder, "b" * 32, D, KEY), "one")


@pytest.mark.usefixtures("segment")
def test_rows_in_another_order_are_refused(place):
    path, size = place.folder / "one.rows", sealed_size(D)
    content = path.read_bytes()
    path.write_bytes(content[size : 2 * size] + content[:size] + content[2 * size :])
    with pytest.raises(Tampered):
        read_all(place)


def test_an_embedding_that_is_not_what_was_sealed_is_not_taken_up(place, vectors):
    sealed = seal_vector(KEY, place.collection_id, 1, vectors[0])
    with pytest.raises(Tampered):
        write_segment(place, "bad", [SealedFace(2, 1, sealed)])
