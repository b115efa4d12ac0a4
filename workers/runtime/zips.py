"""Reads zips from outside: nothing is unpacked to disk, and no more than is allowed is unpacked."""

import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO

from workers.runtime.run import InvalidInput, TooLarge

# What zipfile raises on files that are damaged, encrypted or packed in ways it does not know.
UNREADABLE = (
    zipfile.BadZipFile,
    RuntimeError,
    ValueError,
    OSError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
)


@dataclass(frozen=True)
class Member:
    """One file of an open zip."""

    archive: zipfile.ZipFile
    info: zipfile.ZipInfo
    path: PurePosixPath

    def read(self) -> bytes:
        """The whole content. Raises InvalidInput."""
        with self.open() as file:
            return file.read()

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The content as a stream; what is damaged raises InvalidInput, also while it is read."""
        try:
            with self.archive.open(self.info) as file:  # it gives no more than the size it declares
                yield file
        except UNREADABLE as error:
            raise InvalidInput(f"It cannot be unpacked: {error}.") from error


@contextmanager
def open_zip(file: IO[bytes], max_files: int, max_bytes: int) -> Iterator[list[Member]]:
    """The files in a zip, sorted by path; hidden ones and what macOS adds is left out.

    Raises InvalidInput, also for a path that leaves the zip; TooLarge beyond `max_files`, or
    `max_bytes` unpacked, which is known before anything is.
    """
    try:
        archive = zipfile.ZipFile(file)
    except UNREADABLE as error:
        raise InvalidInput(f"The zip cannot be read: {error}.") from error
    with archive:
        infos = [info for info in archive.infolist() if info.filename and not info.is_dir()]
        size = sum(info.file_size for info in infos)
        if len(infos) > max_files or size > max_bytes:
            raise TooLarge(
                f"The zip has {len(infos)} files and {size} bytes unpacked; at most {max_files} "
                f"files and {max_bytes} bytes can be used."
            )
        infos.sort(key=lambda info: info.filename)
        members = [Member(archive, info, _check_path(info.filename)) for info in infos]
        yield [member for member in members if not is_hidden(member.path)]


def _check_path(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name:
        raise InvalidInput(f"The path {name!r} leaves the zip.")
    return path


def is_hidden(path: PurePosixPath) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
