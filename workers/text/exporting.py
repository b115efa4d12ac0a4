"""Writes a vocabulary to a file: all words counted now, or those of a frozen version."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from workers.text.fields import Tokeniser

Words = Iterable[tuple[str, int]]  # (word, count) in the order of indices, from 1 on

_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


def write_json(
    vocabulary: str, version: int | None, tokeniser: Tokeniser, words: Words
) -> Iterator[str]:
    """{"vocabulary":, "version":, "tokeniser":, "words": [[word, count], ...]}, a word a line.

    The index of a word is its place in the list, from 1 on.
    """
    head: dict[str, Any] = {
        "vocabulary": vocabulary,
        "version": version,
        "tokeniser": tokeniser.model_dump(),
        "words": [],
    }
    yield json.dumps(head, ensure_ascii=False).removesuffix("]}")
    separator = "\n"
    for pair in words:
        yield separator + json.dumps(pair, ensure_ascii=False)
        separator = ",\n"
    yield "\n]}\n"


def write_tsv(words: Words) -> Iterator[str]:
    """A line `index TAB word TAB count` for each; tabs, line ends and backslashes as in C."""
    for index, (word, count) in enumerate(words, 1):
        yield f"{index}\t{word.translate(_ESCAPES)}\t{count}\n"
