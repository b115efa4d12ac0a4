"""Stores faces with their subjects, consents and sealed embeddings, as one change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from shared.db import db_now
from shared.face_tables import Face, FaceConsent, FaceSubject
from shared.identifiers import new_id
from shared.sealing import TenantKey
from workers.faces.audit import Actor, append_line
from workers.faces.gallery import Collection, take_turn
from workers.faces.gallery_contract import Consent
from workers.faces.index.backend import seal_vector

NAMES_AT_ONCE = 1000  # names of one query: databases limit its parameters


@dataclass(frozen=True)
class NewFace:
    """A face that is good enough to be stored."""

    subject: str  # the client's name for the person
    vector: np.ndarray  # (D,) float16, of unit length
    quality: float | None
    blob_id: str | None  # the picture it was found in


@dataclass(frozen=True)
class Stored:
    """Where new faces ended up."""

    numbers: list[int]  # in the order of the faces given
    seq: int


def store_faces(
    session: Session,
    key: TenantKey,
    actor: Actor,
    collection: Collection,
    faces: Sequence[NewFace],
    consent: Consent,
) -> Stored:
    """Add faces in the transaction of the caller. Raises UnknownCollection if it is gone."""
    names = list(dict.fromkeys(face.subject for face in faces))
    turn = take_turn(session, collection, len(faces), len(faces) + len(names))
    now = session.scalar(select(db_now())) or 0.0
    subjects = _find_or_add_subjects(session, collection.id, names, turn.first_number, now)
    consents = _add_consents(session, actor, collection, subjects, consent, now)
    first = turn.first_number + len(names)
    ends = _end_of(consent, collection, now)
    rows = [
        {
            "collection_id": collection.id,
            "number": number,
            "seq": turn.seq,
            "subject_number": subjects[face.subject],
            "consent_id": consents[face.subject],
            "model": collection.model,
            "embedding": seal_vector(key, collection.id, number, face.vector),
            "quality": face.quality,
            "blob_id": face.blob_id,
            "created_at": now,
            "expires_at": ends,
        }
        for number, face in enumerate(faces, first)
    ]
    session.execute(insert(Face), rows)
    detail = {"faces": len(rows), "subjects": len(names), "purpose": consent.purpose}
    append_line(session, key, actor, "enroll", collection.name, {**detail, "seq": turn.seq})
    return Stored([first + place for place in range(len(faces))], turn.seq)


def _end_of(consent: Consent, collection: Collection, now: float) -> float | None:
    """When the faces are deleted: the end of the consent or of the retention, if either."""
    retained = [now + collection.retention] if collection.retention else []
    agreed = [consent.expires_at] if consent.expires_at is not None else []
    return min([*retained, *agreed], default=None)


def _find_or_add_subjects(
    session: Session, collection_id: str, names: Sequence[str], first: int, now: float
) -> dict[str, int]:
    """Name -> number; the collection's row is locked, so nobody else adds the same name."""
    known: dict[str, int] = {}
    for start in range(0, len(names), NAMES_AT_ONCE):
        rows = session.execute(
            select(FaceSubject.name, FaceSubject.number).where(
                FaceSubject.collection_id == collection_id,
                FaceSubject.name.in_(names[start : start + NAMES_AT_ONCE]),
            )
        )
        known |= {row.name: row.number for row in rows}
    new = {name: first + place for place, name in enumerate(names) if name not in known}
    if new:
        rows_to_add = [
            {"collection_id": collection_id, "number": n, "name": name, "created_at": now}
            for name, n in new.items()
        ]
        session.execute(insert(FaceSubject), rows_to_add)
    return known | new


def _add_consents(
    session: Session,
    actor: Actor,
    collection: Collection,
    subjects: Mapping[str, int],
    consent: Consent,
    now: float,
) -> dict[str, str]:
    """A consent for each subject; name -> its id."""
    ids = {name: new_id() for name in subjects}
    rows = [
        {
            "id": ids[name],
            "collection_id": collection.id,
            "subject_number": number,
            "purpose": consent.purpose,
            "text_sha256": consent.text_sha256,
            "given_at": now if consent.given_at is None else consent.given_at,
            "expires_at": consent.expires_at,
            "recorded_at": now,
            "job_id": actor.job_id or "",
        }
        for name, number in subjects.items()
    ]
    session.execute(insert(FaceConsent), rows)
    return ids
