"""Ids sort by the time they were made, and nobody can guess them."""

import time
import uuid

from hypothesis import given
from hypothesis import strategies as st

from shared.identifiers import new_id


def test_an_id_is_a_uuid_version_7():
    for _ in range(1000):
        parsed = uuid.UUID(made := new_id())
        assert (parsed.hex, parsed.version, parsed.variant) == (made, 7, uuid.RFC_4122)


def test_an_id_begins_with_the_milliseconds_since_1970():
    before = time.time_ns() // 1_000_000
    milliseconds = int(new_id()[:12], 16)
    assert before <= milliseconds <= time.time_ns() // 1_000_000


@given(times=st.lists(st.integers(0, 2**48 - 1), min_size=2, unique=True))
def test_ids_sort_by_time(times):
    patch = time.time_ns
    made = []
    try:
        for milliseconds in sorted(times):
            time.time_ns = lambda now=milliseconds: now * 1_000_000
            made.append(new_id())
    finally:
        time.time_ns = patch
    assert made == sorted(made)


def test_ids_of_one_millisecond_differ():
    assert len({new_id() for _ in range(20_000)}) == 20_000
