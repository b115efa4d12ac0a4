"""Reading what changed in a collection."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.db import Sessions
from shared.sealing import TenantKey
from tests.workers.faces.index.gallery import make_faces
from tests.workers.faces.index.stored import StoredGallery
from workers.faces.index.backend import open_vector
from workers.faces.index.follow import CollectionGone, catch_up, read_changes

D = 4
KEY = TenantKey(bytes(32))


@pytest.fixture
def gallery(sessions: Sessions) -> StoredGallery:
    """On either database."""
    return StoredGallery("a" * 32, D, KEY, sessions=sessions)


def read(gallery, after=0, **limit):
    with gallery.sessions.read() as session:
        return read_changes(session, gallery.collection_id, after, **limit)


def test_new_faces_come_in_order_as_they_were_sealed(gallery, rng):
    gallery.enrol(make_faces(rng, 3, D), subject=5)
    gallery.enrol(make_faces(rng, 2, D), subject=6)
    changes = read(gallery)
    assert changes.seq == 2
    assert changes.numbers.tolist() == [1, 2, 3, 4, 5]
    assert changes.subjects.tolist() == [5, 5, 5, 6, 6]
    for number, sealed in zip(changes.numbers.tolist(), changes.sealed, strict=True):
        vector = open_vector(KEY, gallery.collection_id, number, sealed)
        np.testing.assert_array_equal(vector, gallery.live[number][1])
    assert len(changes.deleted) == 0


def test_only_what_is_newer_is_read(gallery, rng):
    gallery.enrol(make_faces(rng, 3, D))
    gallery.enrol(make_faces(rng, 2, D))
    assert read(gallery, after=1).numbers.tolist() == [4, 5]
    nothing = read(gallery, after=2)
    assert (nothing.seq, len(nothing.numbers), len(nothing.deleted)) == (2, 0, 0)


def test_of_a_face_that_came_and_went_only_its_end_is_told(gallery, rng):
    numbers = gallery.enrol(make_faces(rng, 3, D))
    gallery.delete(numbers[1])
    changes = read(gallery)
    assert changes.numbers.tolist() == [1, 3]
    assert changes.deleted.tolist() == [2]


def test_a_page_never_ends_inside_a_transaction(gallery, rng):
    for size in (3, 10, 1):
        gallery.enrol(make_faces(rng, size, D))
    pages = [read(gallery, after, limit=4) for after in range(3)]
    assert [(page.seq, len(page.numbers)) for page in pages] == [(1, 3), (2, 10), (3, 1)]


def test_many_deletions_are_paged_too(gallery, rng):
    numbers = gallery.enrol(make_faces(rng, 9, D))
    for number in numbers:
        gallery.delete(number)
    page = read(gallery, after=1, limit=4)
    assert page.deleted.tolist() == numbers[:4]
    assert page.seq == 5


def test_collections_do_not_see_each_other(gallery, rng):
    other = StoredGallery("b" * 32, D, KEY, sessions=gallery.sessions)
    gallery.enrol(make_faces(rng, 2, D))
    other.enrol(make_faces(rng, 3, D))
    other.delete(1)
    assert len(read(gallery).numbers) == 2
    assert read(gallery).deleted.tolist() == []
    assert read(other).deleted.tolist() == [1]


def test_a_collection_that_is_gone_is_not_read_as_empty(gallery):
    with gallery.sessions.read() as session, pytest.raises(CollectionGone):
        read_changes(session, "x" * 32, 0)


def test_a_database_that_is_older_than_the_index_is_noticed(gallery, rng):
    gallery.enrol(make_faces(rng, 1, D))
    with pytest.raises(CollectionGone):
        read(gallery, after=2)


class Recorder:
    """An index that only remembers."""

    def __init__(self) -> None:
        self.applied_seq = 0
        self.live: dict[int, bytes] = {}

    def apply(self, changes):
        assert changes.seq > self.applied_seq
        self.live |= dict(zip(changes.numbers.tolist(), changes.sealed, strict=True))
        for number in changes.deleted.tolist():
            self.live.pop(number, None)
        self.applied_seq = changes.seq


def test_catching_up_past_the_present_is_an_error(gallery, rng):
    gallery.enrol(make_faces(rng, 1, D))
    with pytest.raises(CollectionGone):
        catch_up(gallery.sessions, gallery.collection_id, Recorder(), 2)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), limit=st.integers(1, 7))
def test_pages_of_any_size_lead_to_what_is_in_sql(make_stored, data, limit):
    gallery = make_stored()
    rng = np.random.default_rng(1)
    index = Recorder()
    for _ in range(data.draw(st.integers(1, 12))):
        step = data.draw(st.sampled_from(["enrol", "delete", "read"]))
        if step == "enrol":
            gallery.enrol(make_faces(rng, data.draw(st.integers(1, 5)), 16))
        elif step == "delete" and gallery.live:
            gallery.delete(*data.draw(st.sets(st.sampled_from(sorted(gallery.live)), min_size=1)))
        elif step == "read" and index.applied_seq < gallery.seq:
            index.apply(read(gallery, index.applied_seq, limit=limit))
    while index.applied_seq < gallery.seq:
        index.apply(read(gallery, index.applied_seq, limit=limit))
    assert sorted(index.live) == sorted(gallery.live)
