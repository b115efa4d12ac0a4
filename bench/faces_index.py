"""Searching faces in large collections: ours beside FAISS, numpy, hnswlib, usearch and Milvus."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import faiss
import numpy as np
from threadpoolctl import threadpool_limits

from bench.faces_local import measure_local
from bench.faces_measure import BATCH, COUNT, Effort, score_exactly
from bench.faces_milvus import MILVUS_FACES, measure_milvus
from bench.faces_rows import (
    LOOPED,
    Data,
    Found,
    Measured,
    Row,
    measure_flat,
    measure_loop,
    measure_numpy,
    measure_peer,
)
from bench.faces_synthetic import PER_SUBJECT, PROBES, blocks, make_probes, write_faces
from bench.options import Options
from bench.report import Report, tell

FACES, QUICK_FACES = 1_000_000, 30_000  # of which 512-d has a segment
DIMENSIONS = (128, 512)
FPIR = 0.01  # strangers that may be named
TARGETS = (
    ("of raw", 0.85, max),
    ("gap points", 0.2, min),
    ("hot B/face", 100, min),
    ("p50 ms", 8.0, min),
    ("start ms", 1000.0, min),
)

COLUMNS = (
    *("index", "d", "build cpu s", "hot B/face", "p50 ms", "p99 ms", "cpu ms", "batch q/cpu s"),
    *("of raw", "recall@1 poor", "FNIR poor", "gap points", "start ms"),
)
MEASURES: Mapping[str, Callable[[Data, Effort], Measured]] = {
    "local": measure_local,
    "milvus": measure_milvus,
    "loop": measure_loop,
    "numpy": measure_numpy,
    "flat": measure_flat,
    "hnswlib": partial(measure_peer, "hnswlib"),
    "usearch": partial(measure_peer, "usearch"),
}


@dataclass(frozen=True)
class Truth:
    """What an exact search finds, and the score that FPIR of the strangers reach."""

    rows: np.ndarray  # (P,) the best face of each probe
    threshold: float

    def judge(self, found: Found) -> dict[str, float]:
        """Misses at the exact search's threshold: only what an index adds to them is its own."""
        rows, scores = found
        named = (rows[: 2 * PROBES] // PER_SUBJECT == np.tile(np.arange(PROBES), 2)) & (
            scores[: 2 * PROBES] >= self.threshold
        )
        poor = slice(PROBES, 2 * PROBES)
        return {
            "recall@1 poor": float((rows[poor] == self.rows[poor]).mean()),
            "FNIR mated": float(1 - named[:PROBES].mean()),
            "FNIR poor": float(1 - named[poor].mean()),
            "FPIR": float((scores[2 * PROBES :] >= self.threshold).mean()),
        }


def run(options: Options) -> Report:
    faiss.omp_set_num_threads(1)
    effort = Effort(options.seconds / 3, options.repeats)
    count = QUICK_FACES if options.quick else FACES
    rows: list[Row] = []
    with threadpool_limits(1):
        for dimensions in DIMENSIONS:
            with tempfile.TemporaryDirectory(prefix="atelier-bench-") as folder:
                faces = write_faces(Path(folder) / "faces.npy", dimensions, count)
                data = Data(Path(folder), faces, make_probes(dimensions))
                rows += measure_all(data, effort, options.only or tuple(MEASURES))
    return Report("faces_index", COLUMNS, rows, judge(rows))


def measure_all(data: Data, effort: Effort, names: tuple[str, ...]) -> Iterator[Row]:
    exact = find_exactly(data)
    truth = Truth(exact[0], float(np.quantile(exact[1][2 * PROBES :], 1 - FPIR)))
    base = {"d": data.dimensions, "faces": len(data.faces)}
    right = truth.judge(exact)
    yield {"index": "exact", **base, **right, "threshold": truth.threshold}
    for name in names:
        for index, row, found in MEASURES[name](data, effort):
            judged = truth.judge(found) if found else {}
            if judged:
                judged["gap points"] = 100 * (judged["FNIR poor"] - right["FNIR poor"])
            yield {"index": index, **base, **row, **judged}
            print(
                f"{index} {data.dimensions}: {row['batch q/cpu s']:.0f} queries/cpu s", flush=True
            )


def find_exactly(data: Data) -> Found:
    """The best face of every probe, by the float16 vectors."""
    probes = data.probes.all
    rows = np.zeros((len(probes), 2), np.int64)  # the best of the blocks so far, of this block
    scores = np.full(len(probes), -np.inf)
    for start, block in blocks(data.faces):
        rows[:, 1] = start + (probes @ block.T).argmax(axis=1)
        best, scores = score_exactly(data.faces, probes, rows)
        rows[:, 0] = best
    return rows[:, 0], scores


def judge(rows: list[Row]) -> list[str]:
    """The targets beside what was found."""
    notes = [
        f"every index is asked for {COUNT} faces, as the worker asks; batches of {BATCH}; "
        "one thread searches; exact scores decide, at the threshold of an exact search",
        f"loop, numpy and flat are exact; loop was measured on {LOOPED} faces and scaled, "
        f"milvus-lite has {MILVUS_FACES} faces at most, for it is slow",
        "hot B/face: memory that a search reads through; of hnswlib and usearch all they take",
    ]
    for row in rows:
        if row["index"] == "local":
            notes += [judge_target(row, *target) for target in TARGETS if target[0] in row]
    return notes


def judge_target(row: Row, column: str, limit: float, best: Callable[..., float]) -> str:
    verdict = tell(best(row[column], limit) == row[column])
    return f"{verdict}: {column} {row[column]:.3g} at {row['d']}-d; wanted {limit:g}"
