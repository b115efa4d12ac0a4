"""Turns tokens into indices, one-hot rows and counts; index 0 is padding and any unknown word."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from workers.text.encoding_contract import Counts, OneHot

Side = Literal["right", "left"]


def to_indices(tokens: Iterable[str], known: Mapping[str, int], *, ignore: bool) -> list[int]:
    """The index of each token; of unknown ones 0, or nothing if they are to be ignored."""
    indices = (known.get(token, 0) for token in tokens)
    return [index for index in indices if index] if ignore else list(indices)


def truncate(indices: Sequence[int], length: int, side: Side) -> list[int]:
    """At most `length` of them; the others are cut off at this side."""
    return list(indices[:length] if side == "right" else indices[max(len(indices) - length, 0) :])


def pad(indices: Sequence[int], length: int, side: Side) -> list[int]:
    """At least `length` of them: zeros are filled in at this side."""
    zeros = [0] * (length - len(indices))
    return [*indices, *zeros] if side == "right" else [*zeros, *indices]


def to_one_hot(indices: Sequence[int], size: int) -> OneHot:
    """(T, size): row t has a one in column index - 1, and none for index 0."""
    rows = [row for row, index in enumerate(indices) if index]
    columns = [index - 1 for index in indices if index]
    return OneHot(tokens=len(indices), size=size, rows=rows, columns=columns)


def to_matrix(one_hot: OneHot) -> list[list[int]]:
    """Its (T, size) zeros and ones."""
    matrix = [[0] * one_hot.size for _ in range(one_hot.tokens)]
    for row, column in zip(one_hot.rows, one_hot.columns, strict=True):
        matrix[row][column] = 1
    return matrix


def to_counts(indices: Iterable[int]) -> Counts:
    """How often each index occurs, ascending by index."""
    counted = sorted(Counter(indices).items())
    return Counts(indices=[i for i, _ in counted], counts=[count for _, count in counted])
