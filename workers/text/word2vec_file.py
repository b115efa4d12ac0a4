"""Writes word vectors as word2vec does, for gensim and others to read."""

from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np

from workers.text.vectors import WordVectors

Format = Literal["text", "binary"]
PAUSE = 1000  # words between two looks at whether to go on


def list_exported(vectors: WordVectors) -> list[int]:
    """The indices that are written: a word with a blank in it cannot be, for blanks end words."""
    return [index for index in vectors.known.tolist() if not _has_blank(vectors.name(index))]


def _has_blank(word: str) -> bool:
    return any(character.isspace() for character in word)


def write_word2vec(
    vectors: WordVectors, indices: list[int], form: Format, watch: Callable[[float], None]
) -> Iterator[bytes]:
    """The file in parts: a line "words dimensions", and for each word itself, a blank, its vector.

    text: numbers by which float32 is read again exactly. binary: little-endian float32.
    `watch` is told the fraction that is done, and may raise to stop.
    """
    yield f"{len(indices)} {vectors.table.shape[1]}\n".encode()
    for place, index in enumerate(indices):
        if place % PAUSE == 0:
            watch(place / len(indices))
        row = vectors.table[index]
        numbers = row.astype("<f4").tobytes() if form == "binary" else _spell(row)
        yield vectors.name(index).encode() + b" " + numbers + b"\n"


def _spell(row: np.ndarray) -> bytes:
    return " ".join(row.astype(str)).encode()
