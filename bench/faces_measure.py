"""How fast an index of faces answers, what it finds, and what it takes; ours and peers alike."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import psutil

from bench.measure import percentile

BATCH = 64
COUNT = 40  # faces asked for, as the worker does
SINGLES = 1_000  # queries at most, one at a time

# (B, D) float32 -> the best row of each query and its exact score, both (B,)
Search = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Effort:
    """How long each figure is measured."""

    seconds: float  # of one cell
    rounds: int


def time_singles(search: Search, probes: np.ndarray, effort: Effort) -> dict[str, Any]:
    """One query at a time; `cpu ms` is the median of the processor time, which load spares."""
    search(probes[:1])
    walls, cpus = [], []
    deadline = time.perf_counter() + effort.seconds
    for row in range(min(SINGLES, len(probes))):
        begun, cpu = time.perf_counter(), time.process_time()
        search(probes[row : row + 1])
        cpus.append(1000 * (time.process_time() - cpu))
        walls.append(1000 * (time.perf_counter() - begun))
        if time.perf_counter() > deadline:
            break
    return {
        "p50 ms": percentile(walls, 50),
        "p99 ms": percentile(walls, 99),
        "cpu ms": median(cpus),
        "single queries": len(walls),
    }


def count_batches(search: Search, probes: np.ndarray, seconds: float) -> float:
    """Queries per second of processor time in batches of BATCH."""
    queries, row, cpu = 0, 0, time.process_time()
    deadline = time.perf_counter() + seconds
    while not queries or time.perf_counter() < deadline:
        search(probes[row : row + BATCH])
        queries += len(probes[row : row + BATCH])
        row = (row + BATCH) % (len(probes) - BATCH)
    return queries / (time.process_time() - cpu)


def find_all(search: Search, probes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The best row and score of every probe, both (P,)."""
    parts = [search(probes[start : start + BATCH]) for start in range(0, len(probes), BATCH)]
    return np.concatenate([rows for rows, _ in parts]), np.concatenate([s for _, s in parts])


def score_exactly(
    faces: np.ndarray, probes: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Of candidates (B, K), -1 where there is none, the best by exact score: both (B,)."""
    vectors = faces[np.maximum(rows, 0)].astype(np.float64)
    scores = np.einsum("bd,bkd->bk", probes.astype(np.float64), vectors)
    scores[rows < 0] = -np.inf
    best = scores.argmax(axis=1)[:, None]
    return np.take_along_axis(rows, best, 1)[:, 0], np.take_along_axis(scores, best, 1)[:, 0]


def read_memory() -> int:
    """Bytes of memory of this process that are no pages of files."""
    memory = psutil.Process(os.getpid()).memory_info()
    return int(memory.rss - memory.shared)
