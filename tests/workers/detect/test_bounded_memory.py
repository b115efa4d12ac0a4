"""A file from outside gets so much memory, and the process has all of it again afterwards."""

import resource
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from tests.workers.detect.test_video import look
from tests.workers.detect.videos import make_movie
from workers.detect.bounded_memory import bound_memory
from workers.runtime.run import InvalidInput


@pytest.mark.parametrize(
    "content",
    [make_movie(samples=80_000_000), make_movie(fragment=60_000_000)],
    ids=["index", "fragment"],
)
def test_a_few_bytes_that_ask_for_gigabytes_get_half_of_one(content: bytes):
    allowed = resource.getrlimit(resource.RLIMIT_AS)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InvalidInput):
        look(content)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 700_000  # KB
    assert resource.getrlimit(resource.RLIMIT_AS) == allowed


def test_bounded_memory_bounds_only_what_stands_within():
    with pytest.raises(MemoryError), bound_memory(2**26):
        bytearray(2**28)
    assert len(bytearray(2**28)) == 2**28


class TimeLimit(BaseException):
    """As a signal raises it, wherever the process is just then."""


def test_memory_is_free_again_whatever_line_a_time_limit_hits():
    allowed = resource.getrlimit(resource.RLIMIT_AS)
    left = 0

    def raise_later(frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal left
        if Path(frame.f_code.co_filename).name not in ("bounded_memory.py", "contextlib.py"):
            return None
        if event == "line":
            left -= 1
            if left == 0:
                raise TimeLimit
        return raise_later

    hits = 0
    for line in range(1, 100):
        left = line
        before = sys.gettrace()
        sys.settrace(raise_later)
        try:
            with bound_memory(2**29):
                pass
        except TimeLimit:
            hits += 1
        finally:
            sys.settrace(before)
        assert resource.getrlimit(resource.RLIMIT_AS) == allowed
    assert hits > 10
