"""Writes collections out of SQL into files, and makes new ones of such files."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from shared.db import db_now
from shared.face_tables import Face, FaceConsent, FaceSubject
from shared.identifiers import new_id
from shared.sealing import TenantKey
from workers.faces.archive import ARRAYS, About, Archive, Report, pack_archive
from workers.faces.gallery import Collection, create_collection, take_turn
from workers.faces.gallery_contract import Consent
from workers.faces.index.backend import open_vector

ROWS = 10_000  # of one statement, and between reports


def write_archive(
    session: Session, key: TenantKey, collection: Collection, encrypted: bool, report: Report
) -> bytes:
    """The whole collection, as this session's snapshot has it."""
    own = FaceSubject.collection_id == collection.id
    subjects = session.execute(
        select(FaceSubject.number, FaceSubject.name).where(own).order_by(FaceSubject.number)
    ).all()
    consents = session.scalars(
        select(FaceConsent).where(FaceConsent.collection_id == collection.id)
    ).all()
    arrays = _read_faces(
        session,
        key,
        collection,
        {row.number: place for place, row in enumerate(subjects)},
        {consent.id: place for place, consent in enumerate(consents)},
        report,
    )
    about = About(
        format=1,
        **{name: getattr(collection, name) for name in ("description", "model", "dimensions")},
        retention=collection.retention,
        target_fpir=collection.target_fpir,
        subjects=[row.name for row in subjects],
        consents=[_show_consent(consent) for consent in consents],
    )
    return pack_archive(about, arrays, key if encrypted else None)


def _show_consent(consent: FaceConsent) -> Consent:
    return Consent(**{name: getattr(consent, name) for name in Consent.model_fields})


def _read_faces(
    session: Session,
    key: TenantKey,
    collection: Collection,
    subjects: dict[int, int],
    consents: dict[str, int],
    report: Report,
) -> dict[str, np.ndarray]:
    arrays = {name: np.empty(collection.faces, kind) for name, kind in ARRAYS.items()}
    arrays["vectors"] = np.empty((collection.faces, collection.dimensions), "<f2")
    query = select(Face).where(Face.collection_id == collection.id).order_by(Face.number)
    for place, face in enumerate(session.scalars(query.execution_options(yield_per=ROWS))):
        vector = open_vector(key, collection.id, face.number, face.embedding)
        arrays["vectors"][place] = vector
        arrays["subjects"][place] = subjects[face.subject_number]
        arrays["consents"][place] = consents[face.consent_id]
        arrays["quality"][place] = np.nan if face.quality is None else face.quality
        arrays["created_at"][place] = face.created_at
        arrays["expires_at"][place] = np.nan if face.expires_at is None else face.expires_at
        session.expunge(face)
        if place % ROWS == 0:
            report(place / collection.faces)
    return arrays


def store_archive(
    session: Session, collection: Collection, archive: Archive, sealed: Sequence[bytes], job_id: str
) -> int:
    """Make the collection and fill it, in one transaction; its seq. Raises CollectionExists."""
    numbers = len(archive.about.subjects) + len(sealed)
    create_collection(session, collection)
    turn = take_turn(session, collection, len(sealed), numbers)
    now = session.scalar(select(db_now())) or 0.0
    names = archive.about.subjects
    subjects = [
        {"collection_id": collection.id, "number": n, "name": name, "created_at": now}
        for n, name in enumerate(names, 1)
    ]
    ids = {place: new_id() for place in archive.subjects_of_consents}
    consents = [
        {
            **archive.about.consents[place].model_dump(),
            "id": ids[place],
            "collection_id": collection.id,
            "subject_number": subject + 1,
            "recorded_at": now,
            "job_id": job_id,
        }
        for place, subject in archive.subjects_of_consents.items()
    ]
    for row in consents:
        row["given_at"] = now if row["given_at"] is None else row["given_at"]
    for table, rows in ((FaceSubject, subjects), (FaceConsent, consents)):
        for start in range(0, len(rows), ROWS):
            session.execute(insert(table), rows[start : start + ROWS])
    for start in range(0, len(sealed), ROWS):
        stop = min(start + ROWS, len(sealed))
        session.execute(
            insert(Face),
            [_make_row(collection, archive, sealed, ids, place) for place in range(start, stop)],
        )
    return turn.seq


def _make_row(
    collection: Collection,
    archive: Archive,
    sealed: Sequence[bytes],
    consents: dict[int, str],
    place: int,
) -> dict[str, Any]:
    row = {name: array[place].item() for name, array in archive.arrays.items() if array.ndim == 1}
    return {
        "collection_id": collection.id,
        "number": len(archive.about.subjects) + 1 + place,
        "seq": 1,
        "subject_number": row["subjects"] + 1,
        "consent_id": consents[row["consents"]],
        "model": collection.model,
        "embedding": sealed[place],
        "quality": None if np.isnan(row["quality"]) else row["quality"],
        "blob_id": None,
        "created_at": row["created_at"],
        "expires_at": None if np.isnan(row["expires_at"]) else row["expires_at"],
    }
