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
    """Ten million numbers, 40 MB, are searched exactly.

    That is 20,000 faces at 512-d: 0.34 ms a query in batches of 64, where codes take 0.19 ms and
    opening 64 rows 0.3 ms more. At twice as many faces the codes are faster. Alone a query takes
    2.5 ms (one core of a Xeon with AVX-512; numpy 2, FAISS 1.15).
    """
    return Policy(flat=10_000_000 // dimensions)


def choose_fetch(count: int, least: int = CANDIDATES) -> int:
    """How many faces the codes have to propose where `count` are wanted.

    Of 1 million synthetic faces at 128-d, 1,000 hard probes and the threshold of 1 % false
    positives, 40 proposals miss 6.2 %, 64 miss 6.1 %, 100 miss 6.1 %, an exact search 5.9 %; at
    512-d all miss 0.6 %. Neither a random rotation nor principal axes before the codes changed
    that by more than one probe, so there are none.
    """
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
