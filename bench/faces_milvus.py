"""The Milvus backend on milvus-lite, which is written in Python and no measure of a real server."""

from collections.abc import Mapping, Sequence

import numpy as np
from milvus_lite import server_manager_instance

from bench.faces_measure import COUNT, Effort
from bench.faces_rows import (
    COLLECTION,
    KEY,
    Data,
    Found,
    Measured,
    built,
    choose_best,
    make_changes,
    measure_speed,
)
from shared.db import migrate, open_db
from workers.faces.index.milvus import MilvusBackend

MILVUS_FACES = 20_000


def measure_milvus(data: Data, effort: Effort) -> Measured:
    """Its misses are not judged: it has fewer faces than the others."""
    faces = data.faces[:MILVUS_FACES]
    server = str(data.folder / "milvus.db")
    database = f"sqlite:///{data.folder}/milvus.sqlite"
    migrate(database)
    sessions = open_db(database)

    def fetch(numbers: Sequence[int]) -> Mapping[int, np.ndarray]:
        return {number: faces[number - 1] for number in numbers}

    def search(probes: np.ndarray) -> Found:
        return choose_best(probes, index.search(probes, COUNT))

    with built() as row:
        index = MilvusBackend(
            server, "", COLLECTION, data.dimensions, KEY, fetch, sessions, index="FLAT"
        )
        for changes in make_changes(faces):
            index.apply(changes)
    try:
        measure_speed(row, search, data, effort)
    finally:
        index.close()
        server_manager_instance.release_server(server)
        sessions.engine.dispose()
    yield "milvus-lite", {**row, "faces": len(faces)}, None
