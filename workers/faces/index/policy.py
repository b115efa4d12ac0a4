"""The numbers that govern an index of faces, with the measurements they rest on."""

from collections.abc import Sequence
from dataclasses import dataclass

CANDIDATES = 64  # that the codes propose at least
GROWTH = 2  # a segment is at least this many times as large as all newer ones together


@dataclass(frozen=True)
class Policy:
    """When faces move from memory into segments, and how many are compared in the end."""

    flat: int  # faces that are searched exactly, without any segment or file
    seal: int = 4096  # faces that may wait in memory once there are segments
    candidates: int = CANDIDATES


def choose_policy(dimensions: int) -> Policy:
    """Ten million numbers are few enough to search one by one: 40 MB."""
    return Policy(flat=10_000_000 // dimensions)


def choose_fetch(count: int, least: int = CANDIDATES) -> int:
    """How many faces the codes have to propose where `count` are wanted."""
    return max(least, 4 * count)


def plan_merges(sizes: Sequence[int]) -> list[range]:
    """How segments, oldest first, become the next generation: each run of them one segment.

    The newest are merged so that every segment is at least GROWTH times as large as all newer
    ones together. So N faces lie in at most log3(N) + 1 segments, and a face that is written again
    is in a segment half as large again: log1.5(N) times at most.
    """
    too_small = (i for i in range(len(sizes) - 1) if sizes[i] < GROWTH * sum(sizes[i + 1 :]))
    start = next(too_small, len(sizes) - 1)
    return [range(i, i + 1) for i in range(start)] + [range(start, len(sizes))]
