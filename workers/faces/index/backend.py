"""What an index of faces does, whichever library searches; decisions are made elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from shared.sealing import OVERHEAD, TenantKey

Numbers = np.ndarray  # (N,) int64: a face's number in its collection; rising, never used again


@dataclass(frozen=True)
class Changes:
    """What happened to a collection after some `seq`, up to and including `seq`."""

    seq: int
    numbers: Numbers  # of new faces, rising
    subjects: Numbers  # (N,) int64: whose faces they are
    sealed: Sequence[bytes]  # N sealed embeddings, as in SQL
    deleted: Numbers  # (M,) faces that are gone; some may never have been seen here


@dataclass(frozen=True)
class Candidates:
    """The faces an index holds to be nearest; the exact scores of `vectors` decide."""

    numbers: np.ndarray  # (B, K) int64, -1 where there are fewer than K
    subjects: np.ndarray  # (B, K) int64
    vectors: np.ndarray  # (B, K, D) float16, zeros where there are fewer


class VectorBackend(Protocol):
    """The index of one collection in one process. Not to be called by two threads at once."""

    applied_seq: int  # changes up to here are in it

    def __len__(self) -> int:
        """Live faces."""

    def apply(self, changes: Changes) -> None:
        """Follow the collection; repeating changes is harmless."""

    def search(self, queries: np.ndarray, count: int) -> Candidates:
        """(B, D) float32 unit vectors -> about the `count` nearest live faces of each."""

    def tend(self) -> None:
        """Housekeeping, about once a second: begin or take over what is built in the background."""

    def describe(self) -> dict[str, int | float | str]:
        """What operators want to know: kind, sizes, bytes."""

    def close(self) -> None:
        """Release files, processes and connections."""


def face_context(collection: str, number: int) -> bytes:
    """What a sealed embedding is bound to: it opens nowhere else."""
    return f"face/{collection}/{number}".encode()


def seal_vector(key: TenantKey, collection: str, number: int, vector: np.ndarray) -> bytes:
    """(D,) float16 -> 2 D + OVERHEAD bytes."""
    return key.seal(vector.astype("<f2").tobytes(), face_context(collection, number))


def open_vector(key: TenantKey, collection: str, number: int, sealed: bytes) -> np.ndarray:
    """(D,) float16. Raises Tampered."""
    return np.frombuffer(key.open(sealed, face_context(collection, number)), "<f2")


def sealed_size(dimensions: int) -> int:
    return 2 * dimensions + OVERHEAD


def check_queries(queries: np.ndarray, dimensions: int) -> None:
    """Raises ValueError if they are not finite vectors (B, D)."""
    if queries.ndim != 2 or queries.shape[1] != dimensions:
        raise ValueError(f"Queries have to be (B, {dimensions}), not {queries.shape}.")
    if not np.isfinite(queries).all():
        raise ValueError("Queries have to be finite numbers.")
