"""Answers the jobs on collections: create, list, enroll, delete."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from shared.db import db_now
from shared.face_tables import Face, FaceSubject
from shared.sealing import TenantKey
from workers.faces.audit import append_line
from workers.faces.deletion import delete_collection, delete_faces
from workers.faces.enrolment import NewFace, store_faces
from workers.faces.gallery import (
    Collection,
    count_subjects,
    create_collection,
    find_collection,
    find_pictures,
    list_collections,
    plan_collection,
)
from workers.faces.gallery_contract import (
    CollectionsRequest,
    CollectionsResult,
    CollectionView,
    CreateRequest,
    DeleteRequest,
    DeleteResult,
    EnrolledFace,
    EnrollRequest,
    EnrollResult,
    RefusedFace,
)
from workers.faces.loaded import FacesWorker, Seen, actor
from workers.faces.refusals import AlreadyEnrolled, LowQuality, NoFace, SeveralFaces, WrongModel
from workers.runtime.answers import answer_each
from workers.runtime.run import InvalidInput, JobError, Run

LOWEST_QUALITY = {"none": 0.0, "low": 0.35, "medium": 0.5, "high": 0.7}
RIVAL = 0.25  # of the largest face's area: a second one so large makes a picture ambiguous


def create(
    worker: FacesWorker, batch: Sequence[Run[CreateRequest]]
) -> list[CollectionView | JobError]:
    return answer_each(batch, lambda run: _create(worker, run))


def _create(worker: FacesWorker, run: Run[CreateRequest]) -> CollectionView:
    request = run.request
    if request.backend == "milvus" and not worker.settings.milvus_uri:
        raise InvalidInput("No Milvus is configured here: set ATELIER_MILVUS_URI, or use `local`.")
    model = worker.encoders.choose(run.tenant, request.model)
    collection = plan_collection(
        run.tenant,
        request.collection,
        description=request.description,
        model=model,
        dimensions=_choose_dimensions(worker, run, model),
        backend=request.backend,
        retention=request.retention,
        target_fpir=request.target_fpir,
    )

    key = worker.key(run.tenant)

    def store(session: Session) -> None:
        create_collection(session, collection)
        append_line(session, key, actor(run), "create", collection.name, {"model": model})

    run.effects.append(store)
    return worker.show(collection, subjects=0)


def _choose_dimensions(worker: FacesWorker, run: Run[CreateRequest], model: str) -> int:
    """How many numbers an embedding has. Raises WrongModel."""
    asked = run.request.dimensions
    if asked is not None and not worker.encoders.has(run.tenant, model):
        return asked
    known = worker.encoders.open(run.tenant, model).dimensions
    if asked not in (None, known):
        raise WrongModel(f"Embeddings of {model} have {known} numbers: leave out `dimensions`.")
    return known


def collections(
    worker: FacesWorker, batch: Sequence[Run[CollectionsRequest]]
) -> list[CollectionsResult | JobError]:
    def answer(run: Run[CollectionsRequest]) -> CollectionsResult:
        with worker.sessions.read() as session:
            found = [
                (item, count_subjects(session, item.id))
                for item in list_collections(session, run.tenant)
            ]
        return CollectionsResult(collections=[worker.show(*pair) for pair in found])

    return answer_each(batch, answer)


def enroll(
    worker: FacesWorker, batch: Sequence[Run[EnrollRequest]]
) -> list[EnrollResult | JobError]:
    return answer_each(batch, lambda run: _enroll(worker, run))


def _enroll(worker: FacesWorker, run: Run[EnrollRequest]) -> EnrollResult:
    with worker.sessions.read() as session:
        collection = find_collection(session, run.tenant, run.request.collection)
        now = session.scalar(select(db_now())) or 0.0
    check_model(collection, run.request.model)
    ends = run.request.consent.expires_at
    if ends is not None and ends <= now:
        raise InvalidInput("The consent has ended already. Ask the person again.")
    taken, refused = (_take_vectors if run.request.embeddings else _take_pictures)(
        worker, run, collection
    )
    if len(taken) + len(refused) == 1 and refused:  # a job of one face is about nothing else
        raise refused[0][1]
    if taken:
        run.effects.append(partial(_store, worker.key(run.tenant), run, collection, taken))
    return EnrollResult(
        collection=collection.name,
        model=collection.model,
        refused=[
            RefusedFace(item=item, subject=_subject(run, item), reason=str(reason))
            for item, reason in refused
        ],
    )


Taken = list[tuple[int, NewFace, Seen | None]]  # (item of the request, face, where it was seen)
Refused = list[tuple[int, JobError]]


def _take_pictures(
    worker: FacesWorker, run: Run[EnrollRequest], collection: Collection
) -> tuple[Taken, Refused]:
    pictures = run.request.pictures or []
    with worker.sessions.read() as session:
        known = find_pictures(session, collection.id, pictures)
    good: list[tuple[int, Seen]] = []
    refused: Refused = []
    for item, blob_id in enumerate(pictures):
        try:
            if (_subject(run, item), blob_id) in known:
                raise AlreadyEnrolled("This picture of this subject is enrolled already.")
            good.append((item, _choose(worker.look_at(run.read(blob_id), 2), run.request)))
            known.add((_subject(run, item), blob_id))
        except JobError as reason:
            refused.append((item, reason))
        run.progress((item + 1) / len(pictures), f"picture {item + 1} of {len(pictures)}")
    vectors = worker.encode(run.tenant, collection.model, [seen for _, seen in good])
    taken: Taken = [
        (
            item,
            NewFace(_subject(run, item), vector, round(seen.quality.overall, 3), pictures[item]),
            seen,
        )
        for (item, seen), vector in zip(good, vectors, strict=True)
    ]
    return taken, refused


def _take_vectors(
    worker: FacesWorker, run: Run[EnrollRequest], collection: Collection
) -> tuple[Taken, Refused]:
    vectors = worker.take_vectors(run.request.embeddings or [], collection.dimensions)
    faces = [NewFace(_subject(run, item), v, None, None) for item, v in enumerate(vectors)]
    return [(item, face, None) for item, face in enumerate(faces)], []


def _choose(faces: Sequence[Seen], request: EnrollRequest) -> Seen:
    """The face to store of the two largest in a picture. Raises JobError."""
    if not faces:
        raise NoFace("No face was found. Send a picture that shows it upright and from the front.")
    first, *others = faces
    if request.crowd == "refuse" and any(_area(o) > RIVAL * _area(first) for o in others):
        raise SeveralFaces("Several faces were found. Cut one out, or send crowd=largest.")
    quality, lowest = first.quality, LOWEST_QUALITY[request.quality]
    if quality.overall < lowest:
        parts = {"size": quality.size, "sharpness": quality.sharpness, "pose": quality.pose}
        worst = min(parts, key=lambda name: parts[name])
        raise LowQuality(
            f"The face's quality is {quality.overall:.2f}, under {lowest:g}; its {worst} is worst "
            f"({parts[worst]:.2f}). Send a better picture, or a lower `quality`."
        )
    return first


def _area(face: Seen) -> float:
    left, top, right, bottom = face.found.xyxy
    return (right - left) * (bottom - top)


def _subject(run: Run[EnrollRequest], item: int) -> str:
    subjects = run.request.subjects
    return subjects[item if len(subjects) > 1 else 0]


def _store(
    key: TenantKey,
    run: Run[EnrollRequest],
    collection: Collection,
    taken: Taken,
    session: Session,
) -> dict[str, Any]:
    faces = [face for _, face, _ in taken]
    stored = store_faces(session, key, actor(run), collection, faces, run.request.consent)
    views = [
        EnrolledFace(
            item=item,
            subject=face.subject,
            face_id=number,
            quality=face.quality,
            xyxy=seen.show().xyxy if seen else None,
        )
        for (item, face, seen), number in zip(taken, stored.numbers, strict=True)
    ]
    return {"faces": [view.model_dump() for view in views], "seq": stored.seq}


def delete(
    worker: FacesWorker, batch: Sequence[Run[DeleteRequest]]
) -> list[DeleteResult | JobError]:
    return answer_each(batch, lambda run: _delete(worker, run))


def _delete(worker: FacesWorker, run: Run[DeleteRequest]) -> DeleteResult:
    request, key = run.request, worker.key(run.tenant)
    with worker.sessions.read() as session:
        collection = find_collection(session, run.tenant, request.collection)

    where = _select_faces(collection, request)

    def erase(session: Session) -> dict[str, Any]:
        if request.whole_collection:
            gone = delete_collection(session, key, actor(run), collection)
        else:
            gone = delete_faces(session, key, actor(run), collection, where)
        return {"deleted": gone.faces, "seq": gone.seq, "receipt": gone.receipt}

    run.effects.append(erase)
    return DeleteResult()


def _select_faces(collection: Collection, request: DeleteRequest) -> ColumnElement[bool]:
    if request.face_ids is not None:
        return Face.number.in_(request.face_ids)
    named = select(FaceSubject.number).where(
        FaceSubject.collection_id == collection.id, FaceSubject.name == request.subject
    )
    return Face.subject_number == named.scalar_subquery()


def check_model(collection: Collection, model: str | None) -> None:
    """Raises WrongModel if a request names another encoder than the collection's."""
    if model is not None and model not in (collection.model, collection.model.partition("@")[0]):
        raise WrongModel(
            f"Collection {collection.name!r} holds faces of {collection.model}, not of {model}. "
            "Embeddings of two models cannot be compared: use that one, or make a new collection."
        )
