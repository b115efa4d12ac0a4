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
    table = _choose(sessions, collection, probes)
    if len(np.unique(table[:, 1])) < LEAST_SUBJECTS:
        raise InvalidInput(
            f"At least {LEAST_SUBJECTS} people have to be enrolled to measure a threshold."
        )
    strangers: list[float] = []
    own: list[float] = []
    for start in range(0, len(table), AT_ONCE):
        rows = table[start : start + AT_ONCE]
        vectors = _read(sessions, key, collection, rows[:, 0].tolist())
        for rival, best in _search(search, collection, vectors, rows):
            strangers.append(rival)
            if best is not None:
                own.append(best)
        done = start + len(rows)
        report(done / len(table), f"searched for {done} of {len(table)} faces")
    impostors, genuine = np.array(strangers), np.array(own)
    threshold = threshold_at_far(impostors, target_fpir)
    return CalibrateResult(
        threshold=float(threshold),
        target_fpir=target_fpir,
        measured_fpir=float((impostors >= threshold).mean()),
        probes=len(impostors),
        faces=collection.faces,
        fnir=float((genuine < threshold).mean()) if len(genuine) else None,
        enough=bool(target_fpir * len(impostors) >= ENOUGH),
    )


def _choose(sessions: Sessions, collection: Collection, probes: int) -> np.ndarray:
    """Faces drawn at random, the same ones for the same collection.

    (P, 3) int64: face, its subject, how many faces that one has.
    """
    with sessions.read() as session:
        rows = session.execute(
            select(Face.number, Face.subject_number)
            .where(Face.collection_id == collection.id)
            .order_by(Face.number)
        ).all()
    table = np.array([tuple(row) for row in rows], np.int64).reshape(-1, 2)
    _, places, sizes = np.unique(table[:, 1], return_inverse=True, return_counts=True)
    table = np.column_stack([table, sizes[places]])
    if len(table) > probes:
        drawn = np.random.default_rng(collection.seq).choice(len(table), probes, replace=False)
        table = table[np.sort(drawn)]
    return table


def _read(
    sessions: Sessions, key: TenantKey, collection: Collection, numbers: list[int]
) -> np.ndarray:
    """(B, D) float16; a face deleted meanwhile is zeros."""
    with sessions.read() as session:
        rows = session.execute(
            select(Face.number, Face.embedding).where(
                Face.collection_id == collection.id, Face.number.in_(numbers)
            )
        ).all()
    vectors = np.zeros((len(numbers), collection.dimensions), np.float16)
    for number, sealed in rows:
        vectors[numbers.index(number)] = open_vector(key, collection.id, number, sealed)
    return vectors


def _search(
    search: Search, collection: Collection, vectors: np.ndarray, rows: np.ndarray
) -> Iterator[tuple[float, float | None]]:
    """(best score of another subject, best of the own other faces or None) of each probe.

    Where all candidates are of the same person, more of them are asked for.
    """
    waiting = np.flatnonzero(vectors.any(axis=1))
    count = AT_ONCE
    while len(waiting):
        found = search(collection, vectors[waiting].astype(np.float32), count)
        scores = rescore(vectors[waiting], found)
        unfinished = []
        for place, row in enumerate(waiting):
            number, owner, faces = rows[row]
            others = found.subjects[place] != owner
            rival = _best(scores[place][others])
            if rival > -np.inf:
                own = _best(scores[place][~others & (found.numbers[place] != number)])
                yield rival, max(own, -1.0) if faces > 1 else None
            elif count < collection.faces:
                unfinished.append(row)
        waiting = np.array(unfinished, np.int64)
        count *= 4


def _best(scores: np.ndarray) -> float:
    """-inf if there are none: they are further away than all candidates."""
    return float(scores.max(initial=-np.inf))
