"""Measures on a collection itself which score a stranger reaches by chance."""

from collections.abc import Callable, Iterator

import numpy as np
from sqlalchemy import select

from shared.db import Sessions
from shared.face_tables import Face
from shared.sealing import TenantKey
from workers.faces.gallery import Collection
from workers.faces.index.backend import Candidates, open_vector
from workers.faces.matching import rescore
from workers.faces.metrics import threshold_at_far
from workers.faces.upkeep_contract import CalibrateResult
from workers.runtime.run import InvalidInput

AT_ONCE = 64  # probes of one search
ENOUGH = 30  # false matches that a rate should rest on
LEAST_SUBJECTS = 10

Search = Callable[[Collection, np.ndarray, int], Candidates]


def calibrate(
    sessions: Sessions,
    key: TenantKey,
    collection: Collection,
    search: Search,
    target_fpir: float,
    probes: int,
    report: Callable[[float, str], None],
) -> CalibrateResult:
    """The lowest threshold at which at most `target_fpir` of strangers find somebody.

    Each of up to `probes` faces is searched for as if its subject were not enrolled: that is a
    stranger, and its best score a false match. The subject's own other faces tell what the
    threshold misses. Raises InvalidInput for fewer than 10 subjects.
    """
    numbers, owners = _choose(sessions, collection, probes)
    if len(np.unique(owners)) < LEAST_SUBJECTS:
        raise InvalidInput(
            f"At least {LEAST_SUBJECTS} people have to be enrolled to measure a threshold."
        )
    strangers: list[float] = []
    own: list[float] = []
    for start, vectors in _read(sessions, key, collection, numbers):
        stop = start + len(vectors)
        for rival, best in _search(search, collection, vectors, numbers, owners, start):
            strangers.append(rival)
            if best is not None:
                own.append(best)
        report(stop / len(numbers), f"searched for {stop} of {len(numbers)} faces")
    impostors, genuine = np.array(strangers), np.array(own)
    threshold = threshold_at_far(impostors, target_fpir)
    return CalibrateResult(
        threshold=round(float(threshold), 6),
        target_fpir=target_fpir,
        measured_fpir=float((impostors >= threshold).mean()),
        probes=len(impostors),
        faces=collection.faces,
        fnir=float((genuine < threshold).mean()) if len(genuine) else None,
        enough=bool(target_fpir * len(impostors) >= ENOUGH),
    )


def _choose(
    sessions: Sessions, collection: Collection, probes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Faces drawn at random, the same ones for the same collection, and their subjects."""
    with sessions.read() as session:
        rows = session.execute(
            select(Face.number, Face.subject_number)
            .where(Face.collection_id == collection.id)
            .order_by(Face.number)
        ).all()
    table = np.array([tuple(row) for row in rows], np.int64).reshape(-1, 2)
    if len(table) > probes:
        drawn = np.random.default_rng(collection.seq).choice(len(table), probes, replace=False)
        table = table[np.sort(drawn)]
    return table[:, 0], table[:, 1]


def _read(
    sessions: Sessions, key: TenantKey, collection: Collection, numbers: np.ndarray
) -> Iterator[tuple[int, np.ndarray]]:
    """(where it starts, (B, D) float16) for each batch; a face deleted meanwhile is zeros."""
    for start in range(0, len(numbers), AT_ONCE):
        wanted = numbers[start : start + AT_ONCE].tolist()
        with sessions.read() as session:
            sealed = dict(
                session.execute(
                    select(Face.number, Face.embedding).where(
                        Face.collection_id == collection.id, Face.number.in_(wanted)
                    )
                )
                .tuples()
                .all()
            )
        vectors = np.zeros((len(wanted), collection.dimensions), np.float16)
        for row, number in enumerate(wanted):
            if number in sealed:
                vectors[row] = open_vector(key, collection.id, number, sealed[number])
        yield start, vectors


def _search(
    search: Search,
    collection: Collection,
    vectors: np.ndarray,
    numbers: np.ndarray,
    owners: np.ndarray,
    start: int,
) -> Iterator[tuple[float, float | None]]:
    """(best score of another subject, best of the own other faces or None) of each probe."""
    found = search(collection, vectors.astype(np.float32), AT_ONCE)
    scores = rescore(vectors, found)
    for row in range(len(vectors)):
        if not vectors[row].any():
            continue
        number, owner = numbers[start + row], owners[start + row]
        live = scores[row] > -np.inf
        others = live & (found.subjects[row] != owner)
        mine = live & (found.subjects[row] == owner) & (found.numbers[row] != number)
        if others.any():  # else all candidates are of the same person
            yield scores[row][others].max(), scores[row][mine].max() if mine.any() else None
