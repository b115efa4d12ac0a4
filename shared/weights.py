"""The pretrained files and photographs the product can use, each pinned by its hash."""

import difflib
import hashlib
import os
import tomllib
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from typing import IO, Literal
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.downloads import CHUNK, Downloads, Progress, open_member
from shared.registries import Archive, Unavailable

PULLS = "atelier weights pull"  # the command that fetches a missing file
CATALOG = Path(__file__).with_name("weights.toml")

Kind = Literal["weights", "labels", "config", "photo"]


class WeightsError(Exception):
    """A pinned file cannot be used; the text says what to do about it."""


class UnknownWeights(WeightsError):
    """No file of this name is in the catalogue."""


class MissingWeights(WeightsError):
    """The file has not been fetched to this machine."""


class DamagedWeights(WeightsError):
    """The file on this machine is not the one in the catalogue."""


class PullFailed(WeightsError):
    """No source gave the file."""


class Member(BaseModel):
    """A file inside a package's archive."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    archive: str  # the archive's file name
    member: str  # the path inside it

    def __str__(self) -> str:
        return f"{self.archive}: {self.member}"


class Link(BaseModel):
    """A file at an address of its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(pattern=r"^https://")

    def __str__(self) -> str:
        return self.url


class PinnedFile(BaseModel):
    """One file: what it is, and the sources to try in order."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    kind: Kind
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(gt=0)
    licence: str
    trained_on: str = ""
    summary: str
    optional: bool = False  # large, or of one source alone: fetched only by its name
    sources: tuple[Member | Link, ...] = Field(min_length=1)


class Catalog(BaseModel):
    """Every pinned file and the archives they come from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    archives: tuple[Archive, ...] = ()
    files: tuple[PinnedFile, ...]

    @model_validator(mode="after")
    def _names_agree(self) -> "Catalog":
        if len({file.name for file in self.files}) < len(self.files):
            raise ValueError("two files have one name")
        known = {archive.file for archive in self.archives}
        for file in self.files:
            for source in file.sources:
                if isinstance(source, Member) and source.archive not in known:
                    raise ValueError(f"{file.name} names an unknown archive {source.archive}")
        return self

    def find(self, name: str) -> PinnedFile:
        for file in self.files:
            if file.name == name:
                return file
        names = [file.name for file in self.files]
        close = difflib.get_close_matches(name, names, n=3, cutoff=0.5) or names
        raise UnknownWeights(f"There is no file {name!r} to pull. Known: {', '.join(close)}.")

    def archive(self, source: Member) -> Archive:
        return next(item for item in self.archives if item.file == source.archive)


@lru_cache
def load_catalog() -> Catalog:
    with CATALOG.open("rb") as toml:
        return Catalog.model_validate(tomllib.load(toml))


def locate(name: str, folder: Path) -> Path:
    """The path of an intact file, ready to open; raises MissingWeights or DamagedWeights."""
    return _check(name, folder, known=_known_digest)


def verify(name: str, folder: Path) -> Path:
    """Like locate, but always reads the whole file again."""
    return _check(name, folder, known=_digest)


def pull(
    name: str,
    folder: Path,
    progress: Progress = lambda *_: None,
    downloads: Downloads | None = None,
) -> Path:
    """Fetch a file from the first source that has it, unless an intact one is there already.

    Give the same `downloads` to several calls and an archive they share is fetched once.
    Raises UnknownWeights or PullFailed.
    """
    wanted = load_catalog().find(name)
    try:
        return verify(name, folder)
    except (MissingWeights, DamagedWeights):
        folder.mkdir(parents=True, exist_ok=True)
    failures = []
    with ExitStack() as stack:
        downloads = downloads or stack.enter_context(Downloads(folder))
        for source in wanted.sources:
            try:
                return _pull_from(source, wanted, folder, downloads, progress)
            except (Unavailable, OSError) as error:
                failures.append(f"  {source}\n    {error}")
    raise PullFailed(f"No source gave {name}:\n" + "\n".join(failures))


def _pull_from(
    source: Member | Link, wanted: PinnedFile, folder: Path, downloads: Downloads, tell: Progress
) -> Path:
    if isinstance(source, Link):
        path = downloads.file(source.url, wanted.sha256, wanted.bytes, tell)
        with path.open("rb") as content:
            return _install(content, wanted, folder)
    archive = downloads.archive(load_catalog().archive(source), tell)
    with open_member(archive, source.member) as content:
        return _install(content, wanted, folder)


def _install(content: IO[bytes], wanted: PinnedFile, folder: Path) -> Path:
    """Write the whole, right file under its name, or nothing."""
    part = folder / f".{wanted.name}.{uuid4().hex}.part"
    digest = hashlib.sha256()
    try:
        with part.open("xb") as out:
            for chunk in _read_at_most(content, wanted.bytes):
                digest.update(chunk)
                out.write(chunk)
            out.flush()
            os.fsync(out.fileno())
        if digest.hexdigest() != wanted.sha256:
            raise Unavailable(f"the file inside has sha256 {digest.hexdigest()}")
        part.replace(folder / wanted.name)
    finally:
        part.unlink(missing_ok=True)
    _sync_folder(folder)
    return folder / wanted.name


def _read_at_most(content: IO[bytes], size: int) -> Iterable[bytes]:
    while chunk := content.read(CHUNK):
        size -= len(chunk)
        if size < 0:
            raise Unavailable("the file inside is larger than it should be")
        yield chunk


def _sync_folder(folder: Path) -> None:
    """Make a rename inside the folder survive a power cut."""
    if os.name == "nt":  # Windows cannot open a folder, and journals renames itself
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _check(name: str, folder: Path, known: Callable[[Path, int, int], str]) -> Path:
    wanted = load_catalog().find(name)
    path = folder / name
    repair = f"Run `{PULLS} {name}`"
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise MissingWeights(f"{path} is missing. {repair}.") from error
    if status.st_size != wanted.bytes or (
        known(path, status.st_size, status.st_mtime_ns) != wanted.sha256
    ):
        raise DamagedWeights(
            f"{path} is not the file it should be (sha256 {wanted.sha256}). {repair} to replace it."
        )
    return path


def _digest(path: Path, *_: int) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


_known_digest = lru_cache(maxsize=256)(_digest)  # by path, size and time of change
