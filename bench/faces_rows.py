"""The indexes that are compared, each built from the same faces and searched the same way."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import faiss
import numpy as np

from bench.faces_measure import (
    COUNT,
    Effort,
    Search,
    count_batches,
    read_memory,
    time_singles,
)
from bench.faces_synthetic import CHUNK, PER_SUBJECT, Probes, blocks
from shared.sealing import TenantKey
from workers.faces.index.backend import Candidates, Changes, seal_vector
from workers.faces.matching import rescore

ROOT = Path(__file__).parents[1]
PYTHON = ROOT / ".venv-bench" / "bin" / "python"  # `make bench` makes it
COLLECTION, KEY = "0" * 32, TenantKey(bytes(32))
LOOPED = 20_000  # faces a loop in Python looks at; its figures are scaled to all of them

Row = dict[str, Any]
Found = tuple[np.ndarray, np.ndarray]  # best row and exact score of every probe, (P,) each
Measured = Iterator[tuple[str, Row, Found | None]]  # a name, its figures, what it found


@dataclass(frozen=True)
class Data:
    """Faces and probes of one size, in memory only as pages of a file."""

    folder: Path
    faces: np.ndarray  # (N, D) float16, mapped
    probes: Probes

    @property
    def dimensions(self) -> int:
        return int(self.faces.shape[1])


@contextmanager
def built() -> Iterator[Row]:
    """What it takes to build what is built inside: processor time and memory."""
    row: Row = {}
    before, cpu = read_memory(), time.process_time()
    yield row
    row["build cpu s"] = time.process_time() - cpu
    row["MiB"] = (read_memory() - before) / 2**20


def make_changes(faces: np.ndarray, after: int = 0) -> Iterator[Changes]:
    """The enrolment of all faces after the first `after`; row r is the face r + 1, seq too."""
    for start in range(after, len(faces), CHUNK):
        numbers = np.arange(start, min(start + CHUNK, len(faces))) + 1
        yield Changes(
            seq=int(numbers[-1]),
            numbers=numbers,
            subjects=(numbers - 1) // PER_SUBJECT,
            sealed=[seal_vector(KEY, COLLECTION, n, faces[n - 1]) for n in numbers.tolist()],
            deleted=np.zeros(0, np.int64),
        )


def choose_best(probes: np.ndarray, found: Candidates) -> Found:
    """What decides in the worker too: the exact scores."""
    scores = rescore(probes, found)
    best = scores.argmax(axis=1)[:, None]
    rows = np.take_along_axis(found.numbers, best, 1)[:, 0] - 1
    return rows, np.take_along_axis(scores, best, 1)[:, 0]


def measure_loop(data: Data, effort: Effort) -> Measured:
    """A dot product for each face, as in a tutorial."""
    faces = data.faces[:LOOPED].astype(np.float32)
    scale = len(data.faces) / len(faces)

    def search(probes: np.ndarray) -> Found:
        best = [max((face @ probe, row) for row, face in enumerate(faces)) for probe in probes]
        return np.array([row for _, row in best]), np.array([score for score, _ in best])

    singles = time_singles(search, data.probes.mated, effort)
    row = {name: singles[name] * scale for name in ("p50 ms", "p99 ms", "cpu ms")}
    row |= {"batch q/cpu s": 1000 / row["cpu ms"], "hot B/face": 4.0 * data.dimensions}
    yield "loop", row, None


def measure_numpy(data: Data, effort: Effort) -> Measured:
    """One product of matrices."""
    with built() as row:
        faces = data.faces.astype(np.float32)

    def search(probes: np.ndarray) -> Found:
        scores = probes @ faces.T
        best = scores.argmax(axis=1)
        return best, scores[np.arange(len(best)), best]

    measure_speed(row, search, data, effort)
    yield "numpy", row | {"hot B/face": 4.0 * data.dimensions}, None


def measure_flat(data: Data, effort: Effort) -> Measured:
    """FAISS, every face exactly."""
    with built() as row:
        index = faiss.IndexFlatIP(data.dimensions)
        for _, block in blocks(data.faces):
            index.add(block)

    def search(probes: np.ndarray) -> Found:
        scores, rows = index.search(probes, COUNT)
        return rows[:, 0], scores[:, 0]

    measure_speed(row, search, data, effort)
    yield "flat", row | {"hot B/face": 4.0 * data.dimensions}, None


def measure_speed(row: Row, search: Search, data: Data, effort: Effort) -> None:
    row |= time_singles(search, data.probes.mated, effort)
    probes = data.probes.all
    rounds = [count_batches(search, probes, effort.seconds) for _ in range(effort.rounds)]
    row |= {"batch q/cpu s": median(rounds), "rounds": rounds}


def measure_peer(name: str, data: Data, effort: Effort) -> Measured:
    """A library of `.venv-bench`, in a process of its own."""
    if not PYTHON.exists():
        raise SystemExit(f"{PYTHON} is missing: `make bench NAME=...` makes it.")
    np.save(data.folder / "probes.npy", data.probes.all)
    command = [PYTHON, "-m", "bench.peers.nearest_peers", name, data.folder]
    options = [str(effort.seconds), str(effort.rounds)]
    done = subprocess.run([*command, *options], cwd=ROOT, stdout=subprocess.PIPE, check=True)
    found = np.load(data.folder / f"{name}.npz")
    row: Row = json.loads(done.stdout)
    row["hot B/face"] = row["MiB"] * 2**20 / len(data.faces)
    yield name, row, (found["rows"], found["scores"])
