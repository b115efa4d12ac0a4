"""Packed counts are read as they were written, or refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.text.counts import pack, unpack

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(st.dictionaries(WORDS, st.integers(1, 2**40)))
def test_counts_come_back_in_their_order(counts: dict[str, int]):
    assert list(unpack(pack(counts)).items()) == list(counts.items())


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda packed: b"\x02" + packed[1:],
        lambda packed: packed[:-1],
        lambda packed: packed[:9] + bytes([packed[9] ^ 255]) + packed[10:],
    ],
    ids=["empty", "another form", "cut off", "changed"],
)
def test_damaged_counts_are_refused(damage):
    with pytest.raises(ValueError, match="counts"):
        unpack(damage(pack({"time": 3, "machine": 1})))


def test_packed_counts_are_smaller_than_half_of_their_json():
    counts = {f"word{n}": n for n in range(1, 5000)}
    assert len(pack(counts)) < len(json.dumps(counts)) / 2
