"""Indices, one-hot rows and counts are what their definitions say."""

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workers.text.encoding import pad, to_counts, to_indices, to_matrix, to_one_hot, truncate

KNOWN = {"the": 1, "time": 2, "machine": 3}
SIZE = 7
INDICES = st.lists(st.integers(0, SIZE), max_size=20)


def test_unknown_words_are_0_or_left_out():
    tokens = ["the", "red", "machine", "the"]
    assert to_indices(tokens, KNOWN, ignore=False) == [1, 0, 3, 1]
    assert to_indices(tokens, KNOWN, ignore=True) == [1, 3, 1]


@pytest.mark.parametrize(
    ("side", "short", "long"), [("right", [5, 6, 0, 0], [1, 2]), ("left", [0, 0, 5, 6], [3, 4])]
)
def test_sequences_are_filled_up_and_cut_off_at_the_side_asked_for(side, short, long):
    assert pad([5, 6], 4, side) == short
    assert truncate([1, 2, 3, 4], 2, side) == long


@given(INDICES, st.integers(1, 30), st.sampled_from(["right", "left"]))
def test_a_sequence_that_is_long_enough_is_not_changed(indices, length, side):
    assert len(pad(truncate(indices, length, side), length, side)) == length
    assert pad(indices, len(indices), side) == truncate(indices, len(indices), side) == indices
    assert truncate(pad(indices, 30, side), 30, side) == pad(indices, 30, side)


@given(INDICES)
def test_one_hot_rows_times_a_table_are_its_rows(indices: list[int]):
    """As in e = E^T o; index 0 gives zeros, like the padding index of an embedding."""
    layer = torch.nn.Embedding(SIZE + 1, 4, padding_idx=0)
    one_hot = torch.tensor(to_matrix(to_one_hot(indices, SIZE))).reshape(-1, SIZE).float()
    assert torch.equal(one_hot @ layer.weight[1:], layer(torch.tensor(indices, dtype=torch.long)))


@given(INDICES)
def test_one_hot_is_that_of_torch_without_the_unknown(indices: list[int]):
    expected = torch.nn.functional.one_hot(torch.tensor(indices, dtype=torch.long), SIZE + 1)
    assert to_matrix(to_one_hot(indices, SIZE)) == expected[:, 1:].tolist()


@given(INDICES)
def test_counts_are_the_sum_of_the_rows(indices: list[int]):
    counts = to_counts(indices)
    assert counts.indices == sorted(counts.indices)
    assert dict(zip(counts.indices, counts.counts, strict=True)) == Counter(indices)
    rows = torch.tensor(to_matrix(to_one_hot(indices, SIZE))).reshape(-1, SIZE).sum(0).tolist()
    known = {i: n for i, n in zip(counts.indices, counts.counts, strict=True) if i}
    assert known == {i: n for i, n in enumerate(rows, start=1) if n}
