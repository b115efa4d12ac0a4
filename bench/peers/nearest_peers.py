"""hnswlib and usearch on the faces in a folder, each in a process of its own."""

import json
import os
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from bench.faces_measure import (
    COUNT,
    Effort,
    Search,
    count_batches,
    find_all,
    read_memory,
    score_exactly,
    time_singles,
)
from bench.faces_synthetic import blocks

LINKS, EFFORT_TO_BUILD, EFFORT_TO_SEARCH = 16, 80, 128  # M, efConstruction, ef


def build_hnswlib(faces: np.ndarray) -> Search:
    """Whole vectors in the graph: its scores are exact."""
    import hnswlib

    index = hnswlib.Index(space="ip", dim=faces.shape[1])
    index.init_index(len(faces), M=LINKS, ef_construction=EFFORT_TO_BUILD)
    index.set_num_threads(os.cpu_count() or 1)
    for start, block in blocks(faces):
        index.add_items(block, np.arange(start, start + len(block)))
    index.set_num_threads(1)
    index.set_ef(EFFORT_TO_SEARCH)

    def search(probes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows, distances = index.knn_query(probes, COUNT)
        return rows[:, 0].astype(np.int64), 1 - distances[:, 0].astype(np.float64)

    return search


def build_usearch(faces: np.ndarray) -> Search:
    """Eight bits per number; its scores are not to be compared with a threshold."""
    from usearch.index import Index

    index = Index(
        ndim=faces.shape[1],
        metric="ip",
        dtype="i8",
        connectivity=LINKS,
        expansion_add=EFFORT_TO_BUILD,
        expansion_search=EFFORT_TO_SEARCH,
    )
    for start, block in blocks(faces):
        index.add(np.arange(start, start + len(block)), block, threads=os.cpu_count() or 1)

    def search(probes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows = np.atleast_2d(index.search(probes, COUNT, threads=1).keys)
        return score_exactly(faces, probes, rows.astype(np.int64))

    return search


PEERS = {"hnswlib": build_hnswlib, "usearch": build_usearch}


def measure(name: str, folder: Path, effort: Effort) -> dict[str, Any]:
    """The row of a peer; what it finds goes to `NAME.npz`."""
    faces = np.load(folder / "faces.npy", mmap_mode="r")
    probes = np.load(folder / "probes.npy")
    before, cpu = read_memory(), time.process_time()
    search = PEERS[name](faces)
    row: dict[str, Any] = {
        "build cpu s": time.process_time() - cpu,
        "MiB": (read_memory() - before) / 2**20,
        **time_singles(search, probes, effort),
        "batch q/cpu s": median(
            count_batches(search, probes, effort.seconds) for _ in range(effort.rounds)
        ),
    }
    rows, scores = find_all(search, probes)
    np.savez(folder / f"{name}.npz", rows=rows, scores=scores)
    return row


if __name__ == "__main__":
    name, folder, seconds, rounds = sys.argv[1:]
    print(json.dumps(measure(name, Path(folder), Effort(float(seconds), int(rounds)))))
