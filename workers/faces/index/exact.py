"""Searches faces exactly, one product of matrices: for small collections and the newest faces."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Tail:
    """Faces in memory as others see them; who adds or drops some gets another tail.

    Tails share their room: a newer one has more of it, or a room of its own. Only the newest may
    be added to.
    """

    room: np.ndarray  # structured, see `empty`; some of it may not be taken yet
    size: int

    @classmethod
    def empty(cls, dimensions: int) -> "Tail":
        face = [("number", "<i8"), ("subject", "<i8"), ("vector", "<f4", (dimensions,))]
        return cls(np.zeros(0, np.dtype(face)), 0)

    def __len__(self) -> int:
        return self.size

    @property
    def nbytes(self) -> int:
        return self.room.nbytes

    @property
    def numbers(self) -> np.ndarray:
        """(N,) int64, rising."""
        return self.room["number"][: self.size]

    @property
    def subjects(self) -> np.ndarray:
        """(N,) int64."""
        return self.room["subject"][: self.size]

    @property
    def vectors(self) -> np.ndarray:
        """(N, D) float32, each of them exactly a float16."""
        return self.room["vector"][: self.size]

    def add(self, numbers: np.ndarray, subjects: np.ndarray, vectors: np.ndarray) -> "Tail":
        size, room = self.size + len(numbers), self.room
        if size > len(room):
            room = np.zeros(max(size, 2 * self.size), room.dtype)
            room[: self.size] = self.room[: self.size]
        new = room[self.size : size]
        new["number"], new["subject"], new["vector"] = numbers, subjects, vectors
        return Tail(room, size)

    def keep(self, chosen: np.ndarray) -> "Tail":
        """(N,) bool -> the tail of those faces, without a trace of the others."""
        if chosen.all():
            return self
        return Tail(self.room[: self.size][chosen], int(chosen.sum()))

    def nearest(self, queries: np.ndarray, count: int) -> np.ndarray:
        """(B, D) -> positions (B, min(count, N)) of the best, in any order."""
        if count >= self.size:
            return np.tile(np.arange(self.size), (len(queries), 1))
        scores = queries @ self.vectors.T
        return np.argpartition(scores, self.size - count, axis=1)[:, self.size - count :]
