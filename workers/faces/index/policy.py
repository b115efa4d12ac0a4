"""The numbers that govern an index of faces, with the measurements they rest on."""

from collections.abc import Sequence
from dataclasses import dataclass

GROWTH = 2  # a segment is at least this many times as large as all newer ones together


@dataclass(frozen=True)
class Policy:
    """When faces move from memory into segments."""

    flat: int  # faces that are searched exactly, without any segment or file
    seal: int = 4096  # faces that may wait in memory once there are segments


def choose_policy(dimensions: int) -> Policy:
    """Ten million numbers are few enough to search one by one: 40 MB."""
    return Policy(flat=10_000_000 // dimensions)


def choose_fetch(count: int) -> int:
    """How many candidates the codes have to offer for `count` exact answers."""
    return max(64, 4 * count)


def plan_merges(sizes: Sequence[int]) -> list[range]:
    """How segments, oldest first, become the next generation: each run of them one segment.

    The newest are merged until every segment is at least GROWTH times as large as all newer ones
    together: N faces lie in at most log3(N) segments, and none is rewritten more often.
    """
    start, newer = len(sizes) - 1, sizes[-1]
    while start and sizes[start - 1] < GROWTH * newer:
        start -= 1
        newer += sizes[start]
    return [range(i, i + 1) for i in range(start)] + [range(start, len(sizes))]
