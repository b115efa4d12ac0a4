"""Stores and reads back many megabytes; prints by how many megabytes the process grew.

Usage: python -m tests.shared.stream_big_file DATABASE_URL BLOB_URL MEGABYTES
"""

import os
import resource
import sys
from collections.abc import Iterator

from shared.blobs import Blobs
from shared.db import open_db

MEGABYTE = 2**20


def make_content(megabytes: int) -> Iterator[bytes]:
    for _ in range(megabytes):
        yield os.urandom(MEGABYTE)


def read_peak() -> float:
    """The most memory this process has had, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(database_url: str, blob_url: str, megabytes: int) -> None:
    sessions = open_db(database_url)
    blobs = Blobs(blob_url, sessions)
    small = blobs.add("ann", [b"small"], 600, MEGABYTE)
    assert blobs.read("ann", small.id) == b"small"
    before = read_peak()
    info = blobs.add("ann", make_content(megabytes), 600, megabytes * MEGABYTE)
    assert sum(map(len, blobs.stream("ann", info.id))) == info.size == megabytes * MEGABYTE
    sys.stdout.write(f"{read_peak() - before:.1f}\n")
    sessions.engine.dispose()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
