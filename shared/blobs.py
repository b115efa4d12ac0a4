"""Files by the sha256 of their content: bytes on disk or S3, one row per tenant and file.

A row names the object that holds its bytes, and no two rows ever share an object: so deleting an
expired file cannot take away one that is uploaded again at that moment.
"""

import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, cast

import obstore
import structlog
from obstore.exceptions import BaseError as StoreError
from obstore.store import LocalStore, ObjectStore, from_url
from sqlalchemy import ColumnElement, case, delete, select, update
from sqlalchemy.orm import Session

from shared.db import Sessions, db_now, insert_into
from shared.tables import StoredBlob

if TYPE_CHECKING:
    from obstore import GetResult  # in the stubs only

log = structlog.get_logger()

IN_MEMORY = 2**20  # bytes of an upload kept in memory before it goes to a temporary file
CHUNK = 2**18
HEAD = 512  # bytes that show the media type
UPLOADS = 2  # parts of 5 MB that one upload holds in memory
RETRY_FOR = timedelta(seconds=10)  # a waiting request is worth less than an honest 503

SIGNATURES = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"PK\x03\x04", "application/zip"),
    (b"\x1aE\xdf\xa3", "video/x-matroska"),  # and WebM, which is one
)
RIFF = {b"WEBP": "image/webp", b"AVI ": "video/x-msvideo"}  # by what the container holds
MOVIE_ATOMS = (b"ftyp", b"moov", b"mdat", b"wide", b"free")  # one of them begins an MP4 or MOV


class TooBig(ValueError):
    """The content is longer than allowed."""


@dataclass(frozen=True)
class BlobInfo:
    id: str
    size: int
    media_type: str


@dataclass(frozen=True)
class Upload:
    """Bytes that are stored under a name of their own, not yet anybody's file."""

    tenant: str
    info: BlobInfo
    object_name: str


class Blobs:
    """The files of all tenants; every call names the tenant."""

    def __init__(self, url: str, sessions: Sessions) -> None:
        self.sessions = sessions
        self._known_folders: set[Path] = set()  # whose own entries are on the disk
        self.store: ObjectStore
        if url.startswith("file://"):
            self.store = LocalStore(url.removeprefix("file://"), mkdir=True)
        else:
            self.store = from_url(url, retry_config={"max_retries": 3, "retry_timeout": RETRY_FOR})

    def add(self, tenant: str, content: Iterable[bytes], keep: float, limit: int) -> BlobInfo:
        """Store the content, durably, for at least `keep` seconds. Raises TooBig."""
        with _spool(content, limit) as (info, spool):
            if not (self.find(tenant, [info.id]) and self._prolong(tenant, info.id, keep)):
                upload = self._write(tenant, info, spool)
                with self.sessions.begin() as session:
                    unused = record_upload(session, upload, keep)
                self.discard(unused)
        return info

    def put(self, tenant: str, content: Iterable[bytes], limit: int) -> Upload:
        """Store the bytes alone; `record_upload` makes them the tenant's file. Raises TooBig.

        So a submit writes the row of its file in the transaction of its job.
        """
        with _spool(content, limit) as (info, spool):
            return self._write(tenant, info, spool)

    def discard(self, object_names: Sequence[str]) -> None:
        """Delete bytes that no row names; if the store does not answer, they stay."""
        if object_names:
            try:
                self.erase(object_names)
            except (StoreError, OSError) as error:
                log.warning("bytes not discarded", objects=object_names, error=str(error))

    def erase(self, names: Sequence[str]) -> None:
        """Delete these objects, those that are gone already too. Raises StoreError, OSError."""
        try:
            obstore.delete(self.store, names)
        except FileNotFoundError:  # a local disk stops at the first that is gone
            for name in names:
                with suppress(FileNotFoundError):
                    obstore.delete(self.store, name)

    def find(self, tenant: str, ids: Iterable[str]) -> dict[str, BlobInfo]:
        """The tenant's files among `ids`; another tenant's file is as unknown as no file."""
        with self.sessions.read() as session:
            rows = session.execute(
                select(StoredBlob.id, StoredBlob.size, StoredBlob.media_type).where(
                    StoredBlob.tenant == tenant, StoredBlob.id.in_(list(ids))
                )
            )
            return {row.id: BlobInfo(*row) for row in rows}

    def stream(self, tenant: str, blob_id: str) -> Iterator[bytes]:
        """The content in chunks. Raises KeyError if the tenant has no such file."""
        result = self._get(tenant, blob_id)
        return (bytes(chunk) for chunk in result.stream(min_chunk_size=CHUNK))

    def read(self, tenant: str, blob_id: str) -> bytes:
        """The whole content. Raises KeyError if the tenant has no such file."""
        return bytes(self._get(tenant, blob_id).bytes())

    def remove_expired(self, limit: int = 500) -> int:
        """Delete files nobody needs any longer; how many."""
        with self.sessions.begin() as session:
            oldest = (
                select(StoredBlob.object_name)
                .where(StoredBlob.expires_at <= db_now())
                .limit(limit)
                .with_for_update(skip_locked=True)
            )
            names = session.scalars(oldest).all()
            if names:
                self.erase(names)  # while the rows are locked: if it fails, they stay
                session.execute(delete(StoredBlob).where(StoredBlob.object_name.in_(names)))
        return len(names)

    def check(self) -> None:
        """Raises if the store does not answer."""
        if isinstance(self.store, LocalStore):  # which lists a folder that is gone as empty
            os.stat(os.path.join(str(self.store.prefix), ""))
        next(iter(obstore.list(self.store, chunk_size=1)), None)

    def _prolong(self, tenant: str, blob_id: str, keep: float) -> bool:
        with self.sessions.begin() as session:
            return prolong(session, tenant, [blob_id], keep) == 1

    def _write(self, tenant: str, info: BlobInfo, content: IO[bytes]) -> Upload:
        name = f"{tenant}/{info.id[:2]}/{info.id}.{secrets.token_hex(8)}"
        # Without a mode: with mode="create" all of the content would be read into memory.
        obstore.put(self.store, name, content, max_concurrency=UPLOADS)
        self._sync(name)
        return Upload(tenant, info, name)

    def _sync(self, name: str) -> None:
        """On a local disk, make the file survive a power cut."""
        if not (isinstance(self.store, LocalStore) and self.store.prefix):
            return
        folder, *above = Path(name).parents
        new = [] if folder in self._known_folders else above  # up to the store itself
        for target in (Path(name), folder, *new):
            descriptor = os.open(Path(self.store.prefix) / target, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        self._known_folders.add(folder)

    def _get(self, tenant: str, blob_id: str) -> "GetResult":
        with self.sessions.read() as session:
            blob = session.get(StoredBlob, (tenant, blob_id))
        if blob is None:
            raise KeyError(blob_id)
        try:
            return obstore.get(self.store, blob.object_name)
        except FileNotFoundError as error:  # it expired between the two lines above
            raise KeyError(blob_id) from error


def record_upload(session: Session, upload: Upload, keep: float) -> list[str]:
    """Make stored bytes a file of the tenant; the objects to discard after the commit.

    Somebody may have uploaded the same content before: then theirs stays, for longer.
    """
    row = insert_into(session, StoredBlob).values(
        tenant=upload.tenant,
        id=upload.info.id,
        object_name=upload.object_name,
        size=upload.info.size,
        media_type=upload.info.media_type,
        created_at=db_now(),
        expires_at=db_now() + keep,
    )
    kept = session.scalar(
        row.on_conflict_do_update(
            index_elements=["tenant", "id"],
            set_={"expires_at": _later(row.excluded.expires_at)},
        ).returning(StoredBlob.object_name)
    )
    return [] if kept == upload.object_name else [upload.object_name]


def prolong(session: Session, tenant: str, ids: Iterable[str], keep: float) -> int:
    """Keep these files for at least `keep` more seconds; how many of them there are."""
    # Locked in one order, so that two submits with the same files do not wait for each other.
    locked = (
        select(StoredBlob.id)
        .where(StoredBlob.tenant == tenant, StoredBlob.id.in_(list(ids)))
        .order_by(StoredBlob.id)
        .with_for_update()
    )
    kept = session.execute(
        update(StoredBlob)
        .where(StoredBlob.tenant == tenant, StoredBlob.id.in_(locked))
        .values(expires_at=_later(db_now() + keep))
        .returning(StoredBlob.id)
        .execution_options(synchronize_session=False)
    )
    return len(kept.all())


def _later(until: ColumnElement[float]) -> ColumnElement[float]:
    return case((StoredBlob.expires_at < until, until), else_=StoredBlob.expires_at)


def sniff(head: bytes) -> str:
    """The media type that the first bytes show; what a client claims is not believed."""
    for signature, media_type in SIGNATURES:
        if head.startswith(signature):
            return media_type
    if head[:4] == b"RIFF" and head[8:12] in RIFF:
        return RIFF[head[8:12]]
    if head and b"\0" not in head:
        return "text/plain"
    if head[4:8] in MOVIE_ATOMS:  # after the atom's length, which may be any for mdat
        return "video/mp4"
    return "application/octet-stream"


@contextmanager
def _spool(content: Iterable[bytes], limit: int) -> Iterator[tuple[BlobInfo, IO[bytes]]]:
    """The content in a temporary file, and what it is."""
    digest, size, head = hashlib.sha256(), 0, b""
    with SpooledTemporaryFile(max_size=IN_MEMORY) as spool:
        for chunk in content:
            size += len(chunk)
            if size > limit:
                raise TooBig(f"The content is longer than {limit} bytes.")
            if len(head) < HEAD:
                head += chunk[: HEAD - len(head)]
            digest.update(chunk)
            spool.write(chunk)
        spool.seek(0)
        yield BlobInfo(digest.hexdigest(), size, sniff(head)), cast(IO[bytes], spool)
