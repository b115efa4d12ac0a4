"""Reads zips from outside: nothing is unpacked to disk, and no more than is allowed is unpacked."""

import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, ParamSpec

from workers.runtime.run import InvalidInput, TooLarge

P = ParamSpec("P")

# What zipfile raises on files that are damaged, encrypted or packed in ways it does not know.
UNREADABLE = (
    zipfile.BadZipFile,
    RuntimeError,
    ValueError,
    OSError,
    EOFError,
    OverflowError,
    zlib.error,
)
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # of the others, zipfile unpacks all at once

END = struct.Struct("<12xL6x")  # the length of the directory, in the record at the end of a zip
END_64 = struct.Struct("<40xQ8x")  # the same in that of a large zip
LOCATOR_64 = 20  # bytes between the two
COMMENT = 2**16  # bytes that may come after the end
MAX_PATH = 1000  # characters, so that errors can name it
ENTRY = struct.Struct("<28x3H12x")  # lengths of name, extra and comment, which come after it


@dataclass(frozen=True)
class Member:
    """One file of an open zip."""

    archive: zipfile.ZipFile
    info: zipfile.ZipInfo
    path: PurePosixPath

    def read(self, most: int | None = None) -> bytes:
        """The content. Raises InvalidInput; TooLarge, before any is read, beyond `most` bytes."""
        check_size(self.path, self.info.file_size, most)
        with self.open() as file:
            return file.read(self.info.file_size + 1)  # without a number, it has no bound

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The content as a stream; what is damaged raises InvalidInput, also while it is read."""
        try:
            with self.archive.open(self.info) as file:  # it gives no more than the size it declares
                yield file
        except UNREADABLE as error:
            raise InvalidInput(f"It cannot be unpacked: {error}.") from error


def check_first(check: Callable[[], None], read: Callable[P, bytes]) -> Callable[P, bytes]:
    """`read` after `check`, which may raise to stop a long look through a zip."""

    def read_checked(*args: P.args, **kwargs: P.kwargs) -> bytes:
        check()
        return read(*args, **kwargs)

    return read_checked


def check_size(path: PurePosixPath, size: int, most: int | None) -> None:
    """Raises TooLarge for a file of more than `most` bytes."""
    if most is not None and size > most:
        raise TooLarge(f"{path} has {size} bytes, more than {most}.")


@contextmanager
def open_zip(file: IO[bytes], max_files: int, max_bytes: int) -> Iterator[list[Member]]:
    """The files in a zip, sorted by path; hidden ones and what macOS adds is left out.

    Raises InvalidInput, also for a path that leaves the zip; TooLarge beyond `max_files`, or
    `max_bytes` unpacked, which is known before anything is.
    """
    _check_entries(file, max_files)
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
        members = [Member(archive, info, _check(info)) for info in infos]
        yield [member for member in members if not is_hidden(member.path)]


def _check_entries(file: IO[bytes], max_files: int) -> None:
    """Raises TooLarge before zipfile makes an object of each entry, whatever number is declared.

    As many folders as files are allowed. What is damaged is left to zipfile to name.
    """
    place, end = _find_directory(file)
    left = 2 * max_files
    while 0 <= place < end:
        file.seek(place)
        entry = file.read(ENTRY.size)
        if len(entry) < ENTRY.size or not entry.startswith(b"PK\1\2"):
            return
        if not left:
            raise TooLarge(
                f"The zip has more than {2 * max_files} entries, folders included; at most "
                f"{max_files} files can be used."
            )
        left -= 1
        place += ENTRY.size + sum(ENTRY.unpack(entry))


def _find_directory(file: IO[bytes]) -> tuple[int, int]:
    """Where the list of the entries starts and ends, found as zipfile does it."""
    size = file.seek(0, os.SEEK_END)
    start = max(size - COMMENT - END.size, 0)
    file.seek(start)
    tail = file.read()
    place = len(tail) - END.size
    if not (tail[place:].startswith(b"PK\5\6") and tail.endswith(b"\0\0")):  # it has a comment
        place = tail.rfind(b"PK\5\6")
    if place < 0 or len(tail) < place + END.size:
        return 0, 0
    (length,) = END.unpack_from(tail, place)
    end = start + place
    file.seek(max(end - LOCATOR_64 - END_64.size, 0))
    before = file.read(min(end, END_64.size + LOCATOR_64))
    if before.startswith(b"PK\6\6") and before[END_64.size :].startswith(b"PK\6\7"):
        (length,) = END_64.unpack_from(before)
        end -= len(before)
    return end - length, end


def _check(info: zipfile.ZipInfo) -> PurePosixPath:
    name, path = info.filename, PurePosixPath(info.filename)
    if len(name) > MAX_PATH:
        raise InvalidInput(f"The path {name[:80]!r}... has more than {MAX_PATH} characters.")
    if info.compress_type not in METHODS:
        raise InvalidInput(
            f"{name!r} is compressed in an unusual way. Zip it with deflate, the usual one."
        )
    if path.is_absolute() or ".." in path.parts or "\\" in name:
        raise InvalidInput(f"The path {name!r} leaves the zip.")
    return path


def is_hidden(path: PurePosixPath) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
