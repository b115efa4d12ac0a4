"""Answers the job of finding out whose face it is."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from sqlalchemy.orm import Session

from shared.sealing import TenantKey
from workers.faces.audit import append_line
from workers.faces.gallery import (
    Collection,
    charge_searches,
    count_searches,
    find_collection,
    name_faces,
)
from workers.faces.gallery_contract import (
    Candidate,
    IdentifyRequest,
    IdentifyResult,
    Probe,
)
from workers.faces.gallery_tasks import check_model
from workers.faces.loaded import FacesWorker, Seen, actor
from workers.faces.matching import Match, find_subjects
from workers.faces.refusals import NoFace, QuotaExceeded, StaleDatabase
from workers.faces.thresholds import Scale
from workers.runtime.answers import answer_each
from workers.runtime.run import JobError, Run

MAX_FACES = 64  # of one picture that are looked for
INVESTIGATED = 50  # candidates at most when nobody is matched (NIST FRTE 1:N)


@dataclass
class Search:
    """A job on its way to its answer."""

    run: Run[IdentifyRequest]
    collection: Collection
    vectors: np.ndarray  # (P, D) float16
    faces: list[Seen | None]
    threshold: float
    calibrated: bool
    matches: list[list[Match]] = field(default_factory=list)  # for each face

    @property
    def lowest(self) -> float:
        return -1.0 if self.run.request.investigate else self.threshold

    @property
    def limit(self) -> int:
        asked = self.run.request.max_candidates
        return min(asked, INVESTIGATED) if self.run.request.investigate else asked


def identify(
    worker: FacesWorker, batch: Sequence[Run[IdentifyRequest]]
) -> list[IdentifyResult | JobError]:
    """Probes that ask the same of one collection are searched together, whatever their jobs."""
    known: dict[tuple[str, str], Collection | JobError] = {}
    prepared = answer_each(batch, lambda run: _prepare(worker, run, known))
    groups: dict[tuple[str, int, float], list[Search]] = defaultdict(list)
    for search in prepared:
        if isinstance(search, Search):
            groups[search.collection.id, search.limit, search.lowest].append(search)
    answers: dict[str, IdentifyResult | JobError] = {}
    for group in groups.values():
        answers |= _answer_group(worker, group)
    return [
        answers[search.run.job_id] if isinstance(search, Search) else search for search in prepared
    ]


def _prepare(
    worker: FacesWorker,
    run: Run[IdentifyRequest],
    known: dict[tuple[str, str], Collection | JobError],
) -> Search:
    request = run.request
    collection = _find(worker, run.tenant, request.collection, known)
    check_model(collection, request.model)
    if request.min_seq is not None and collection.seq < request.min_seq:
        raise StaleDatabase(
            f"This database has seen the collection up to {collection.seq}, not up to "
            f"{request.min_seq}. Try again."
        )
    faces: list[Seen | None]
    if request.embeddings is not None:
        vectors = worker.take_vectors(request.embeddings, collection.dimensions)
        faces = [None] * len(vectors)
    else:
        seen = worker.look_at(run.read(str(request.picture)), MAX_FACES if request.all_faces else 1)
        if not seen:
            raise NoFace("No face was found. Send a picture that shows it upright.")
        vectors, faces = worker.encode(run.tenant, collection.model, seen), [*seen]
    threshold, calibrated = -1.0, False
    if request.threshold is not None:
        threshold = request.threshold
    elif not request.investigate:
        threshold, calibrated = worker.choose_threshold(collection, request.target_fpir)
    return Search(run, collection, vectors, faces, threshold, calibrated)


def _find(
    worker: FacesWorker,
    tenant: str,
    name: str,
    known: dict[tuple[str, str], Collection | JobError],
) -> Collection:
    """Each collection is looked up once a batch, and so is the quota. Raises JobError."""
    if (tenant, name) not in known:
        with worker.sessions.read() as session:
            try:
                if count_searches(session, tenant) >= worker.settings.search_quota:
                    raise QuotaExceeded(worker.settings.search_quota)
                known[tenant, name] = find_collection(session, tenant, name)
            except JobError as refusal:
                known[tenant, name] = refusal
    found = known[tenant, name]
    if isinstance(found, JobError):
        raise found
    return found


def _answer_group(worker: FacesWorker, group: list[Search]) -> dict[str, IdentifyResult | JobError]:
    collection = group[0].collection
    queries = np.concatenate([search.vectors for search in group]).astype(np.float32)
    find = partial(worker.indexes.search, collection)
    try:
        found = find_subjects(find, queries, collection.faces, group[0].limit, group[0].lowest)
    except JobError as refusal:  # the collection was deleted just now
        return {search.run.job_id: refusal for search in group}
    probes = iter(found)
    for search in group:
        search.matches = [next(probes) for _ in search.faces]
    numbers = {m.number for search in group for near in search.matches for m in near}
    with worker.sessions.read() as session:
        names = name_faces(session, collection.id, numbers)
    runs = [search.run for search in group]
    by_job = {search.run.job_id: search for search in group}
    answers = answer_each(runs, lambda run: _answer(worker, by_job[run.job_id], names))
    return {run.job_id: answer for run, answer in zip(runs, answers, strict=True)}


def _answer(
    worker: FacesWorker, search: Search, names: dict[int, tuple[str, int]]
) -> IdentifyResult:
    scale = worker.scale(search.run.tenant, search.collection.model)
    probes = [
        _show(scale, search, face, near, names)
        for face, near in zip(search.faces, search.matches, strict=True)
    ]
    quota = worker.settings.search_quota
    search.run.effects.append(
        partial(_charge, worker.key(search.run.tenant), search, probes, quota)
    )
    request = search.run.request
    return IdentifyResult(
        collection=search.collection.name,
        model=search.collection.model,
        probes=probes,
        threshold=round(search.threshold, 6),
        target_fpir=None
        if request.threshold is not None
        else request.target_fpir or search.collection.target_fpir,
        calibrated=search.calibrated,
        searched=search.collection.faces,
        seq=search.collection.seq,
    )


def _show(
    scale: Scale,
    search: Search,
    face: Seen | None,
    near: list[Match],
    names: dict[int, tuple[str, int]],
) -> Probe:
    request = search.run.request
    candidates = [
        Candidate(
            subject=names[match.number][0],
            face_id=match.number,
            band=scale.band(match.score),
            faces=match.faces,
            score=match.score if request.scores else None,
            mean_score=match.mean_score if request.scores else None,
        )
        for match in near
        if match.number in names  # else it was deleted while we searched
    ]
    matched = bool(candidates) and not request.investigate
    return Probe(
        decision="investigation" if request.investigate else "match" if matched else "unknown",
        subject=candidates[0].subject if matched else None,
        candidates=candidates,
        face=face.show() if face else None,
    )


def _charge(
    key: TenantKey, search: Search, probes: list[Probe], quota: int, session: Session
) -> None:
    charge_searches(session, search.run.tenant, len(probes), quota)
    matched = sum(probe.decision == "match" for probe in probes)
    detail = {"probes": len(probes), "matches": matched}
    action = "investigate" if search.run.request.investigate else "identify"
    append_line(session, key, actor(search.run), action, search.collection.name, detail)
