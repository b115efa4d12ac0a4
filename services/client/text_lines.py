"""Texts from the command line or from standard input, in requests of a bounded size."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

TEXTS = 256  # of one request
CHARACTERS = 1_000_000  # of all texts of a request


def read_lines(arguments: list[str] | None) -> Iterator[str]:
    """The arguments; without any, each line of standard input that is not empty."""
    if arguments:
        yield from arguments
        return
    for line in sys.stdin:
        if text := line.rstrip("\r\n"):
            yield text


def group_items(items: Iterable[T], most: int = TEXTS) -> Iterator[list[T]]:
    """As many items together as a request takes."""
    batch: list[T] = []
    size = 0
    for item in items:
        length = len(item) if isinstance(item, str) else 0
        if batch and (len(batch) == most or size + length > CHARACTERS):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += length
    if batch:
        yield batch
