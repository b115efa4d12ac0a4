"""Answers the jobs on pictures alone: find, encode, verify."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from workers.faces.align import DLIB_SIDE, DLIB_TEMPLATE, align
from workers.faces.draw import annotate
from workers.faces.loaded import FacesWorker, Seen
from workers.faces.picture_contract import (
    EncodeRequest,
    EncodeResult,
    FindRequest,
    FindResult,
    FoundFace,
    VerifyRequest,
    VerifyResult,
)
from workers.faces.refusals import NoFace
from workers.faces.thresholds import compare
from workers.runtime.answers import answer_each
from workers.runtime.images import decode, encode_jpeg
from workers.runtime.run import JobError, Run


def find(worker: FacesWorker, batch: Sequence[Run[FindRequest]]) -> list[FindResult | JobError]:
    return answer_each(batch, lambda run: _find(worker, run))


def _find(worker: FacesWorker, run: Run[FindRequest]) -> FindResult:
    request = run.request
    content = run.read(request.picture)
    picture = decode(content, worker.settings.max_pixels)
    limit = 1 if request.largest else request.max_faces
    seen = worker.look(picture, limit, request.min_size, request.score_threshold)
    annotated = None
    if request.annotate:
        annotated = run.save(encode_jpeg(annotate(picture, [face.found for face in seen])))
    faces = [
        FoundFace(**face.show().model_dump(), crop=_cut(run, face) if request.crops else None)
        for face in seen
    ]
    return FindResult(width=picture.width, height=picture.height, faces=faces, annotated=annotated)


def _cut(run: Run[FindRequest], face: Seen) -> str:
    chip = align(face.picture, face.found.landmarks, DLIB_TEMPLATE, DLIB_SIDE)
    return run.save(encode_jpeg(Image.fromarray(chip)))


def encode(
    worker: FacesWorker, batch: Sequence[Run[EncodeRequest]]
) -> list[EncodeResult | JobError]:
    return answer_each(batch, lambda run: _encode(worker, run))


def _encode(worker: FacesWorker, run: Run[EncodeRequest]) -> EncodeResult:
    model = worker.encoders.choose(run.tenant, run.request.model)
    faces: list[Seen | None] = []
    for place, blob_id in enumerate(run.request.pictures):
        faces.append(next(iter(worker.look_at(run.read(blob_id))), None))
        run.progress((place + 1) / len(run.request.pictures), f"picture {place + 1}")
    vectors = iter(worker.encode(run.tenant, model, [face for face in faces if face]))
    return EncodeResult(
        model=model,
        embeddings=[next(vectors).astype(float).tolist() if face else None for face in faces],
        faces=[face.show() if face else None for face in faces],
    )


def verify(
    worker: FacesWorker, batch: Sequence[Run[VerifyRequest]]
) -> list[VerifyResult | JobError]:
    return answer_each(batch, lambda run: _verify(worker, run))


def _verify(worker: FacesWorker, run: Run[VerifyRequest]) -> VerifyResult:
    request = run.request
    model = worker.encoders.choose(run.tenant, request.model)
    scale = worker.scale(run.tenant, model)
    first, first_face = _take(worker, run, model, request.first, request.first_embedding, "first")
    second, second_face = _take(
        worker, run, model, request.second, request.second_embedding, "second"
    )
    verdict = compare(scale, first, second, request.method, request.target_fmr, request.threshold)
    return VerifyResult(
        same=verdict.same,
        band=verdict.band,
        score=verdict.score if request.scores else None,
        threshold=round(verdict.threshold, 6),
        target_fmr=request.target_fmr if request.threshold is None else None,
        method=request.method,
        model=model,
        faces=[face.show() if face else None for face in (first_face, second_face)],
    )


def _take(
    worker: FacesWorker,
    run: Run[VerifyRequest],
    model: str,
    picture: str | None,
    embedding: list[float] | None,
    which: str,
) -> tuple[np.ndarray, Seen | None]:
    """One of the two as (D,) float16. Raises NoFace."""
    if picture is None:
        dimensions = worker.encoders.open(run.tenant, model).dimensions
        return worker.take_vectors([embedding or []], dimensions)[0], None
    seen = worker.look_at(run.read(picture))
    if not seen:
        raise NoFace(f"No face was found in the {which} picture. Send one that shows it upright.")
    return worker.encode(run.tenant, model, seen)[0], seen[0]
