"""The local index as the worker uses it, in turns with the FAISS index inside it."""

import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import NoReturn

import faiss
import numpy as np

from bench.faces_measure import (
    COUNT,
    Effort,
    Search,
    count_batches,
    find_all,
    read_memory,
    time_singles,
)
from bench.faces_rows import (
    COLLECTION,
    KEY,
    ROOT,
    Data,
    Found,
    Measured,
    Row,
    built,
    choose_best,
    make_changes,
)
from workers.faces.index.files import Manifest, Place, write_manifest
from workers.faces.index.local import LocalBackend
from workers.faces.index.policy import choose_fetch, choose_policy
from workers.faces.index.segment import SealedFace, Segment, write_segment

NEWEST = 2_000  # faces that are in no segment yet


def measure_local(data: Data, effort: Effort) -> Measured:
    """Opened on files as a build leaves them, the newest faces in memory."""
    with built() as row:
        segment = write_files(data)
        index = open_index(data.folder, data.dimensions)
        for changes in make_changes(data.faces, index.applied_seq):
            index.apply(changes)

    def search(probes: np.ndarray) -> Found:
        return choose_best(probes, index.search(probes, COUNT))

    searches = {"raw faiss": open_raw(data, segment), "local": search}
    speeds = compare(searches, data, effort)
    row |= speeds["local"] | {"hot B/face": index.describe()["hot_bytes_per_face"]}
    if segment:  # else all is read from SQL
        row |= time_start(data)
    yield "raw faiss", speeds["raw faiss"], None
    yield "local", row, find_all(search, data.probes.all)
    index.close()


def compare(searches: dict[str, Search], data: Data, effort: Effort) -> dict[str, Row]:
    """In turns, so that a slow minute hits both."""
    probes = data.probes
    speeds = {name: time_singles(search, probes.mated, effort) for name, search in searches.items()}
    for speed in speeds.values():
        speed["rounds"] = []
    for _ in range(2 * effort.rounds):
        for name, search in searches.items():
            speeds[name]["rounds"].append(count_batches(search, probes.all, effort.seconds))
    for speed in speeds.values():
        speed["batch q/cpu s"] = median(speed["rounds"])
    pairs = zip(speeds["local"]["rounds"], speeds["raw faiss"]["rounds"], strict=True)
    speeds["local"]["of raw"] = median(ours / raw for ours, raw in pairs)
    return speeds


def write_files(data: Data) -> str | None:
    """What a build would leave: all faces but the newest in one segment. None if they are few."""
    count = len(data.faces) - NEWEST
    if count < choose_policy(data.dimensions).flat:
        return None
    place = Place(data.folder / COLLECTION, COLLECTION, data.dimensions, KEY)
    place.folder.mkdir()
    faces = (
        SealedFace(number, subject, sealed)
        for changes in make_changes(data.faces[:count])
        for number, subject, sealed in zip(
            changes.numbers.tolist(), changes.subjects.tolist(), changes.sealed, strict=True
        )
    )
    name = "1-bench"
    write_segment(place, name, faces)
    write_manifest(
        place, Manifest(1, seq=count, clean_seq=count, last_number=count, segments=[name])
    )
    return name


def open_index(folder: Path, dimensions: int) -> LocalBackend:
    return LocalBackend(COLLECTION, dimensions, KEY, folder, start_build=refuse)


def refuse() -> NoReturn:
    raise RuntimeError("The measurement needs no build.")


def open_raw(data: Data, segment: str | None) -> Search:
    """The FAISS index in our segment, asked for as many candidates; few faces have a flat one."""
    if segment:
        place = Place(data.folder / COLLECTION, COLLECTION, data.dimensions, KEY)
        codes = Segment.open(place, segment).codes
    else:
        codes = faiss.IndexFlatIP(data.dimensions)
        codes.add(data.faces.astype(np.float32))
    count = choose_fetch(COUNT) if segment else COUNT

    def search(probes: np.ndarray) -> Found:
        scores, rows = codes.search(probes, count)
        return rows[:, 0], scores[:, 0]

    return search


def time_start(data: Data) -> Row:
    """From nothing but files to the first answer, in a process of its own."""
    np.save(data.folder / "probe.npy", data.probes.mated[:1])
    command = [sys.executable, "-m", "bench.faces_local", data.folder, str(data.dimensions)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    row: Row = json.loads(done.stdout)
    return row


def measure_start(folder: Path, dimensions: int) -> Row:
    faiss.omp_set_num_threads(1)
    probe = np.load(folder / "probe.npy")
    before, begun = read_memory(), time.perf_counter()
    index = open_index(folder, dimensions)
    choose_best(probe, index.search(probe, COUNT))
    elapsed = time.perf_counter() - begun
    return {"start ms": 1000 * elapsed, "start MiB": (read_memory() - before) / 2**20}


if __name__ == "__main__":
    print(json.dumps(measure_start(Path(sys.argv[1]), int(sys.argv[2]))))
