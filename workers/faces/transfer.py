"""A collection as one file: a zip of JSON and numpy arrays, as a rule encrypted for its tenant."""

import io
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import Field, ValidationError
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from shared.contract import Message
from shared.db import db_now
from shared.face_tables import Face, FaceConsent, FaceSubject
from shared.identifiers import new_id
from shared.sealing import Tampered, TenantKey
from workers.faces.gallery import Collection, create_collection, take_turn
from workers.faces.gallery_contract import Consent, Rate, Seconds, SubjectName
from workers.faces.index.backend import open_vector, seal_vector
from workers.faces.picture_contract import MAX_DIMENSIONS, Model
from workers.runtime.run import InvalidInput

MAGIC = b"ATELIER-FACES-1\n"  # begins an encrypted file
CHUNK = 64 * 2**20  # bytes sealed at a time
LARGEST = 8 * 2**30  # bytes of an unpacked file
ROWS = 10_000  # of one statement, and between reports
ARRAYS = {
    "vectors": "<f2", "subjects": "<i8", "consents": "<i8",
    "quality": "<f4", "created_at": "<f8", "expires_at": "<f8",
}  # fmt: skip
Report = Callable[[float], None]


class About(Message):
    """What the arrays are about: `collection.json`."""

    format: Literal[1]
    description: str = Field(max_length=2000)
    model: Model
    dimensions: int = Field(ge=2, le=MAX_DIMENSIONS)
    retention: Seconds | None
    target_fpir: Rate
    subjects: list[SubjectName]
    consents: list[Consent]


@dataclass(frozen=True)
class Archive:
    """A collection out of a file, checked."""

    about: About
    arrays: dict[str, np.ndarray]  # vectors (N, D), all others (N,)

    @property
    def subjects_of_consents(self) -> dict[int, int]:
        pairs = zip(self.arrays["consents"].tolist(), self.arrays["subjects"].tolist(), strict=True)
        return dict(pairs)

    def seal(self, key: TenantKey, collection: Collection, report: Report) -> list[bytes]:
        """The vectors as the new collection stores them; numbers follow those of the subjects."""
        first, vectors = len(self.about.subjects) + 1, self.arrays["vectors"]
        sealed = []
        for place, vector in enumerate(vectors):
            sealed.append(seal_vector(key, collection.id, first + place, vector))
            if place % ROWS == 0:
                report(place / len(vectors))
        return sealed


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
    content = _pack(about, arrays)
    return b"".join(_encrypt(key, content)) if encrypted else content


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


def _pack(about: About, arrays: dict[str, np.ndarray]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("collection.json", about.model_dump_json())
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
    return file.getvalue()


def _encrypt(key: TenantKey, content: bytes) -> Iterator[bytes]:
    """Sealed chunks, each bound to its place and to whether it is the last."""
    yield MAGIC
    starts = range(0, len(content), CHUNK)
    for start in starts:
        context = f"export/{start}/{start == starts[-1]}".encode()
        sealed = key.seal(content[start : start + CHUNK], context)
        yield len(sealed).to_bytes(4, "big") + sealed


def _decrypt(key: TenantKey, content: bytes) -> bytes:
    """Raises InvalidInput for a file that was changed, cut off, or is another tenant's."""
    place, start, parts = len(MAGIC), 0, []
    try:
        while place < len(content):
            size = int.from_bytes(content[place : place + 4], "big")
            sealed, place = content[place + 4 : place + 4 + size], place + 4 + size
            parts.append(key.open(sealed, f"export/{start}/{place >= len(content)}".encode()))
            start += CHUNK
    except Tampered as error:
        raise InvalidInput(
            "The file was changed, is incomplete, or was exported by another tenant. Export it "
            "again; to move it to another tenant export it with encrypted=false."
        ) from error
    return b"".join(parts)


def read_archive(content: bytes, key: TenantKey) -> Archive:
    """Raises InvalidInput for a file that this product has not written so."""
    if content.startswith(MAGIC):
        content = _decrypt(key, content)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _check_members(archive)
            about = About.model_validate_json(archive.read("collection.json"))
            arrays = {name: _read_array(archive, name) for name in ARRAYS}
        _check_arrays(about, arrays)
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError, OSError) as error:
        what = "its collection.json does not fit" if isinstance(error, ValidationError) else error
        raise InvalidInput(
            f"The file is not a collection exported by faces.export: {what}."
        ) from error
    return Archive(about, arrays)


def _check_members(archive: zipfile.ZipFile) -> None:
    members = archive.infolist()
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise ValueError("it is compressed")
    if sum(member.file_size for member in members) > LARGEST:
        raise ValueError(f"it is larger than {LARGEST} bytes")


def _read_array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    with archive.open(f"{name}.npy") as member:
        array: np.ndarray = np.lib.format.read_array(member, allow_pickle=False)
    if array.dtype != np.dtype(ARRAYS[name]):
        raise ValueError(f"{name} has the wrong type")
    return array


def _check_arrays(about: About, arrays: dict[str, np.ndarray]) -> None:
    vectors = arrays["vectors"]
    faces = len(vectors)
    if vectors.shape != (faces, about.dimensions):
        raise ValueError("the vectors have the wrong shape")
    if any(array.shape != (faces,) for name, array in arrays.items() if name != "vectors"):
        raise ValueError("the arrays have different lengths")
    for start in range(0, faces, ROWS):
        lengths = np.linalg.norm(vectors[start : start + ROWS].astype(np.float32), axis=1)
        if not (np.abs(lengths - 1) < 0.01).all():
            raise ValueError("a vector is not of unit length")
    _check_owners(about, arrays["subjects"], arrays["consents"])


def _check_owners(about: About, subjects: np.ndarray, consents: np.ndarray) -> None:
    if len(set(about.subjects)) != len(about.subjects):
        raise ValueError("a subject is named twice")
    for places, listed in ((subjects, about.subjects), (consents, about.consents)):
        if len(places) and not (places.min() >= 0 and places.max() < len(listed)):
            raise ValueError("a face points outside the lists of subjects or consents")
    owners = np.full(len(about.consents), -1)
    owners[consents] = subjects
    if not (owners[consents] == subjects).all():
        raise ValueError("a consent belongs to two subjects")


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
