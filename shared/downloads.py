"""Downloads archives and takes single files out of them, without importing or running anything."""

import hashlib
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import IO

import requests

from shared.registries import TIMEOUT, Archive, Registries, Unavailable

CHUNK = 2**18  # bytes

Progress = Callable[[int, int], None]  # (bytes done, bytes in all)


class Downloads:
    """The archives of one pull: each is fetched once, and deleted at the end."""

    def __init__(self, folder: Path) -> None:
        """`folder` gets the temporary files; it must exist."""
        self._folder = Path(tempfile.mkdtemp(prefix=".pull-", dir=folder))
        self._archives: dict[str, Path] = {}

    def __enter__(self) -> "Downloads":
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._folder)

    @cached_property
    def registries(self) -> Registries:
        return Registries()

    def archive(self, archive: Archive, progress: Progress) -> Path:
        """A package's archive with the pinned hash; raises Unavailable."""
        if archive.sha256 not in self._archives:
            url = self.registries.locate(archive)
            self._archives[archive.sha256] = self.file(url, archive.sha256, archive.bytes, progress)
        return self._archives[archive.sha256]

    def file(self, url: str, sha256: str, size: int, progress: Progress) -> Path:
        """The file at a URL, if it has this hash and size; raises Unavailable."""
        target = self._folder / sha256
        digest = hashlib.sha256()
        done = 0
        try:
            with (
                self.registries.session.get(url, stream=True, timeout=TIMEOUT) as response,
                target.open("wb") as out,
            ):
                response.raise_for_status()
                for chunk in response.iter_content(CHUNK):
                    done += len(chunk)
                    if done > size:
                        raise Unavailable(f"the file at {url} is larger than {size} bytes")
                    digest.update(chunk)
                    out.write(chunk)
                    progress(done, size)
        except requests.RequestException as error:
            raise Unavailable(f"the download failed: {error}") from error
        if digest.hexdigest() != sha256:
            raise Unavailable(f"the file at {url} has sha256 {digest.hexdigest()}, not {sha256}")
        return target


@contextmanager
def open_member(archive: Path, name: str) -> Iterator[IO[bytes]]:
    """One regular file inside a wheel, sdist or npm tarball; raises Unavailable."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as wheel:
            if name not in wheel.namelist():
                raise Unavailable(f"the archive has no file {name}")
            with wheel.open(name) as content:
                yield content
        return
    with tarfile.open(archive, "r:gz") as tarball:
        for entry in tarball:  # stops at the wanted file; a link is never followed
            if entry.name == name and entry.isreg():
                inside = tarball.extractfile(entry)
                assert inside is not None  # only links and folders have no content
                yield inside
                return
    raise Unavailable(f"the archive has no file {name}")
