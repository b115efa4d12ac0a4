"""Every chaos test runs on both databases, and full size when ATELIER_FULL is set."""

import os
import sys
from collections.abc import Callable

import pytest

FULL = bool(os.environ.get("ATELIER_FULL"))


@pytest.fixture
def show() -> Callable[[object], None]:
    """Tells figures; of tests that pass, `pytest -rP` prints them."""

    def write(text: object) -> None:
        sys.stdout.write(f"{text}\n")

    return write
