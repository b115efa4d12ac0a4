"""The files of a collection's index on this machine: sealed, private, never half written."""

import fcntl
import json
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from shared.sealing import TenantKey

MANIFEST = "manifest"
LOCK = "lock"
REPLICA = "replica"


@dataclass(frozen=True)
class Place:
    """Where the index of a collection lies, and what opens it."""

    folder: Path
    collection_id: str
    dimensions: int
    key: TenantKey

    def read(self, name: str) -> bytes:
        """What was written under this name; raises Tampered, FileNotFoundError."""
        return self.key.open((self.folder / name).read_bytes(), self._context(name))

    def write(self, name: str, content: bytes) -> None:
        """Put the sealed content on disk in one step, in place of what was there."""
        part = self.folder / f"part-{secrets.token_hex(8)}"
        write_new(part, [self.key.seal(content, self._context(name))])
        part.replace(self.folder / name)
        sync_folder(self.folder)

    def _context(self, name: str) -> bytes:
        """What a file's seal is bound to, so that none can take the place of another."""
        return f"face-index/{self.collection_id}/{name}".encode()


@dataclass(frozen=True)
class Manifest:
    """Which segments make up the index, and how far they follow the collection."""

    generation: int
    seq: int  # changes up to here are in the segments
    clean_seq: int  # faces deleted up to here are in no file any more
    last_number: int  # faces up to here are in a segment, or gone
    segments: list[str]  # oldest first


def read_manifest(place: Place) -> Manifest | None:
    """None if there is none; raises Tampered."""
    with suppress(FileNotFoundError):
        return Manifest(**json.loads(place.read(MANIFEST)))
    return None


def write_manifest(place: Place, manifest: Manifest) -> None:
    """From now on this is the index, even after a power cut."""
    place.write(MANIFEST, json.dumps(asdict(manifest)).encode())


def identify_manifest(place: Place) -> tuple[int, int] | None:
    """Changes with every manifest that is written; None if there is none."""
    with suppress(FileNotFoundError):
        status = (place.folder / MANIFEST).stat()
        return status.st_ino, status.st_mtime_ns
    return None


@contextmanager
def lock(folder: Path) -> Iterator[bool]:
    """Whether this is the one process of the machine that builds in this folder."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def is_locked(folder: Path) -> bool:
    with lock(folder) as ours:
        return not ours


def read_replica(faces_folder: Path) -> str:
    """The random name of this machine's copies of the collections; made at first use."""
    faces_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = faces_folder / REPLICA
    if not name.exists():
        part = faces_folder / f"part-{secrets.token_hex(8)}"
        write_new(part, [secrets.token_hex(16).encode()])
        with suppress(FileExistsError):  # of two processes that start at once, the first one's
            os.link(part, name)
        part.unlink()
    return name.read_text()


def write_new(path: Path, chunks: Iterable[bytes]) -> None:
    """A file that nobody else may read, on disk when this returns."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.writelines(chunks)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Names in the folder survive a power cut too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
