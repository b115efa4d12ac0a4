"""Every chaos test runs on both databases, and full size when ATELIER_FULL is set."""

import os
import sys
from collections.abc import Callable

import pytest

FULL = bool(os.environ.get("ATELIER_FULL"))


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str]) -> Callable[[object], None]:
    """Prints figures past pytest, which keeps what a passing test says to itself."""

    def write(text: object) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{text}\n")

    return write
