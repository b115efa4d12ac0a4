"""Bounds what a library may allocate while it reads a file from outside."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STATM = Path("/proc/self/statm")  # Linux: its first number is the pages that are mapped
ALLOWED = resource.getrlimit(resource.RLIMIT_AS)  # bytes (soft, hard), outside of any bound


@contextmanager
def bound_memory(room: int) -> Iterator[None]:
    """Within it, an allocation fails that maps more than `room` bytes beyond what is mapped now.

    For a few bytes of a file that tell a library to allocate gigabytes. It holds for all threads
    of the process, so what stands within it is short. Other systems than Linux have no bound.
    """
    if not STATM.exists():
        yield
        return
    soft, hard = ALLOWED
    limit = int(STATM.read_text().split()[0]) * resource.getpagesize() + room
    if soft != resource.RLIM_INFINITY:
        limit = min(limit, soft)
    try:
        try:
            resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_AS, ALLOWED)
    finally:  # the signal of a time limit may raise just before the line above
        resource.setrlimit(resource.RLIMIT_AS, ALLOWED)
