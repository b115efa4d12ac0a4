"""The file of a collection: a zip of JSON and numpy arrays, as a rule encrypted for its tenant."""

import io
import struct
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field, ValidationError

from shared.contract import Message
from shared.sealing import Tampered, TenantKey
from workers.faces.gallery import Collection
from workers.faces.gallery_contract import Consent, Description, Rate, Seconds, SubjectName
from workers.faces.index.backend import seal_vector
from workers.faces.picture_contract import MAX_DIMENSIONS, Model
from workers.runtime.run import InvalidInput

MAGIC = b"ATELIER-FACES-1\n"  # begins an encrypted file
CHUNK = 64 * 2**20  # bytes sealed at a time
LARGEST = 8 * 2**30  # bytes of an unpacked file
ROWS = 10_000  # that are checked at a time, or sealed between reports
ARRAYS = {
    "vectors": "<f2", "subjects": "<i8", "consents": "<i8",
    "quality": "<f4", "created_at": "<f8", "expires_at": "<f8",
}  # fmt: skip
HIGHEST = {"quality": 1.0, "created_at": 1e10, "expires_at": 1e10}  # times: seconds since 1970
UNREADABLE = (
    zipfile.BadZipFile,
    KeyError,
    ValueError,
    EOFError,
    OSError,
    RuntimeError,
    struct.error,
)
Report = Callable[[float], None]


class About(Message):
    """What the arrays are about: `collection.json`."""

    format: Literal[1]
    description: Description
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


def pack_archive(about: About, arrays: dict[str, np.ndarray], key: TenantKey | None) -> bytes:
    """The file; encrypted if there is a key."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("collection.json", about.model_dump_json())
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
    content = file.getvalue()
    return content if key is None else b"".join(_encrypt(key, content))


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
        arrays["expires_at"] = np.fmin(arrays["expires_at"], _list_ends(about, arrays["consents"]))
    except UNREADABLE as error:
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
    """Without a copy, and without believing how large it says it is."""
    content = io.BytesIO(archive.read(f"{name}.npy"))
    if np.lib.format.read_magic(content) != (1, 0):
        raise ValueError(f"{name} has an unknown format")
    shape, _, kind = np.lib.format.read_array_header_1_0(content)
    if kind != np.dtype(ARRAYS[name]):
        raise ValueError(f"{name} has the wrong type")
    return np.frombuffer(content.getbuffer(), kind, offset=content.tell()).reshape(shape)


def _check_arrays(about: About, arrays: dict[str, np.ndarray]) -> None:
    vectors = arrays["vectors"]
    if vectors.shape[1:] != (about.dimensions,):
        raise ValueError("the vectors have the wrong shape")
    faces = len(vectors)
    if any(array.shape != (faces,) for name, array in arrays.items() if name != "vectors"):
        raise ValueError("the arrays have different lengths")
    for name, highest in HIGHEST.items():
        values, unset = arrays[name], np.isnan(arrays[name]) & (name != "created_at")
        if not (unset | ((values >= 0) & (values <= highest))).all():
            raise ValueError(f"{name} is out of range")
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


def _list_ends(about: About, consents: np.ndarray) -> np.ndarray:
    """(N,) float64 when the consent of each face ends; NaN if never."""
    ends = [np.nan if item.expires_at is None else item.expires_at for item in about.consents]
    found: np.ndarray = np.array(ends, np.float64)[consents]
    return found
