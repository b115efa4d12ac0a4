"""Turns what stands on the command line into pieces of text, each small enough for a job."""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import IO

STANDARD_INPUT = "-"
LOAD = 16_000_000  # bytes of a job's files, unless a single file has more
FILES = 64  # of a job
LINES = ("lines", "jsonl")  # formats in which a large file can be cut at any line


class NothingFound(Exception):
    """An argument that stands for no file."""


@dataclass(frozen=True)
class Piece:
    """A file, or a part of one: whole lines."""

    name: str  # of the document, or of those in it
    format: str
    size: int  # bytes
    content: Path | bytes


def find_files(arguments: Iterable[str]) -> list[Path]:
    """Files as given, all in folders but hidden ones, quoted globs; each once, in order."""
    found: dict[Path, None] = {}
    for argument in arguments:
        files = [Path(argument)] if argument == STANDARD_INPUT else _expand(argument)
        if not files:
            raise NothingFound(f"No file found for {argument!r}.")
        found.update(dict.fromkeys(files))
    return list(found)


def measure(files: Iterable[Path]) -> float | None:
    """Bytes of all files; None if one is standard input, which has no end before it ends."""
    sizes = [None if str(file) == STANDARD_INPUT else _size(file) for file in files]
    return None if None in sizes else float(sum(size or 0 for size in sizes))


def read_pieces(files: Iterable[Path], chosen: str | None) -> Iterator[Piece]:
    """The pieces of files in the format that was chosen, or else that their names show.

    Only one piece at a time is in memory. Raises OSError where a file cannot be read.
    """
    for file in files:
        format = chosen or ("jsonl" if file.suffix == ".jsonl" else "text")
        if str(file) == STANDARD_INPUT:
            yield from _cut(sys.stdin.buffer, "stdin", format)
        elif format in LINES and file.suffix != ".zip" and _size(file) > LOAD:
            with file.open("rb") as stream:
                yield from _cut(stream, file.as_posix(), format)
        else:
            yield Piece(file.as_posix(), format, _size(file), file)


def group(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    """As many pieces together as a job takes; a job has one format."""
    load: list[Piece] = []
    size = 0
    for piece in pieces:
        full = len(load) == FILES or size + piece.size > LOAD
        if load and (full or piece.format != load[0].format):
            yield load
            load, size = [], 0
        load.append(piece)
        size += piece.size
    if load:
        yield load


def _cut(stream: IO[bytes], name: str, format: str) -> Iterator[Piece]:
    """A stream of lines in pieces; they are the same however much is appended later."""
    if format not in LINES:
        content = stream.read()
        yield Piece(name, format, len(content), content)
        return
    start = 0
    while content := stream.read(LOAD) + stream.readline():
        yield Piece(f"{name}@{start}" if start else name, format, len(content), content)
        start += len(content)


def _expand(argument: str) -> list[Path]:
    path = Path(argument)
    if path.is_file():  # also a name with [brackets] in it
        return [path]
    if path.is_dir():
        inside = (file for file in path.rglob("*") if file.is_file())
        return sorted(file for file in inside if not _is_hidden(file.relative_to(path)))
    return [path for path in map(Path, sorted(glob(argument, recursive=True))) if path.is_file()]


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _size(file: Path) -> int:
    return file.stat().st_size
