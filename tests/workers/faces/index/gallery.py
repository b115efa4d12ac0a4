"""A collection of faces in memory that is its own truth: what the tests of indexes compare with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from shared.sealing import TenantKey
from workers.faces.index.backend import Candidates, Changes, seal_vector


@dataclass
class Gallery:
    collection_id: str
    dimensions: int
    key: TenantKey
    seq: int = 0
    live: dict[int, tuple[int, np.ndarray]] = field(default_factory=dict)  # subject, (D,) float16
    born: dict[int, int] = field(default_factory=dict)  # number -> seq
    dead: dict[int, int] = field(default_factory=dict)

    def enrol(self, vectors: np.ndarray, subject: int = 1) -> list[int]:
        """(N, D) -> the numbers of the new faces."""
        self.seq += 1
        numbers = [len(self.born) + i for i in range(1, len(vectors) + 1)]
        for number, vector in zip(numbers, vectors, strict=True):
            self.live[number] = (subject, vector.astype(np.float16))
            self.born[number] = self.seq
        return numbers

    def delete(self, *numbers: int) -> None:
        self.seq += 1
        for number in numbers:
            del self.live[number]
            self.dead[number] = self.seq

    def changes(self, after: int = 0) -> Changes:
        """As a database would give them: of a face that came and went, only that it is gone."""
        new = [number for number in self.live if self.born[number] > after]
        gone = [number for number, seq in self.dead.items() if seq > after]
        return Changes(
            seq=self.seq,
            numbers=np.array(new, np.int64),
            subjects=np.array([self.live[number][0] for number in new], np.int64),
            sealed=[self.seal(number) for number in new],
            deleted=np.array(gone, np.int64),
        )

    def seal(self, number: int) -> bytes:
        return seal_vector(self.key, self.collection_id, number, self.live[number][1])

    def fetch(self, numbers: Sequence[int]) -> Mapping[int, np.ndarray]:
        return {number: self.live[number][1] for number in numbers if number in self.live}

    def nearest(self, query: np.ndarray, count: int) -> list[int]:
        """By a loop over every face, exact scores, best first."""
        scored = [
            (float(query.astype(np.float64) @ vector.astype(np.float64)), number)
            for number, (_, vector) in self.live.items()
        ]
        return [number for _, number in sorted(scored, reverse=True)[:count]]


def rank(queries: np.ndarray, found: Candidates) -> list[list[int]]:
    """The candidates of each query by their exact scores, best first."""
    ranked = []
    for query, numbers, vectors in zip(queries, found.numbers, found.vectors, strict=True):
        scores = vectors.astype(np.float64) @ query.astype(np.float64)
        order = np.argsort(-scores)
        ranked.append([int(n) for n in numbers[order] if n >= 0])
    return ranked


def make_faces(rng: np.random.Generator, count: int, dimensions: int) -> np.ndarray:
    """(N, D) float32 unit vectors."""
    vectors = rng.standard_normal((count, dimensions)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
