"""Reads the programs' logs: their ends, and what is added to them."""

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

END = 256 * 1024  # bytes; more of a log than anybody reads at once


def find_logs(home: Path) -> dict[str, Path]:
    """Program -> its log."""
    return {path.stem: path for path in sorted((home / "logs").glob("*.log"))}


def read_last(path: Path, count: int) -> list[str]:
    """The last lines of a log, none if there is no log."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - END))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return []
    return lines[-count:] if count > 0 else []


def follow(logs: Mapping[str, Path]) -> Iterator[tuple[str, str]]:
    """(program, line) for every line written from now on, for ever."""
    readers = {name: _Reader(path) for name, path in logs.items()}
    try:
        while True:
            for name, reader in readers.items():
                for line in reader.read_lines():
                    yield name, line
            time.sleep(0.2)
    finally:
        for reader in readers.values():
            reader.close()


@dataclass
class _Reader:
    """Keeps its place in a log, also when the log is replaced by a new one."""

    path: Path
    file: BinaryIO | None = None
    partial: bytes = b""

    def __post_init__(self) -> None:
        if self.path.exists():
            self.file = self.path.open("rb")
            self.file.seek(0, os.SEEK_END)

    def read_lines(self) -> list[str]:
        content = self._read()
        if self._was_replaced():
            self.close()
            self.file = self.path.open("rb")
            content += self._read()
        *lines, self.partial = (self.partial + content).split(b"\n")
        return [line.decode("utf-8", "replace") for line in lines]

    def _read(self) -> bytes:
        return self.file.read() if self.file else b""

    def _was_replaced(self) -> bool:
        try:
            now = self.path.stat()
        except FileNotFoundError:
            return False  # between the old log and the new one
        return self.file is None or os.fstat(self.file.fileno()).st_ino != now.st_ino

    def close(self) -> None:
        if self.file:
            self.file.close()
            self.file = None
