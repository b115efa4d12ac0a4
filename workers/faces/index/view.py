"""All live faces of a collection at one moment, and the search through them."""

from dataclasses import dataclass, replace

import numpy as np

from workers.faces.index.backend import Candidates
from workers.faces.index.exact import Tail
from workers.faces.index.segment import Segment


@dataclass(frozen=True)
class View:
    """Never changed: a search keeps to one from beginning to end, while others replace it."""

    segments: tuple[Segment, ...]  # oldest first
    tail: Tail

    def __len__(self) -> int:
        return sum(map(len, self.segments)) + len(self.tail)

    def add(self, numbers: np.ndarray, subjects: np.ndarray, vectors: np.ndarray) -> "View":
        return replace(self, tail=self.tail.add(numbers, subjects, vectors))

    def erase(self, numbers: np.ndarray) -> "View":
        """Without these faces, some of which may not be here."""
        if not len(numbers):
            return self
        segments = tuple(segment.erase(numbers) for segment in self.segments)
        return View(segments, self.tail.keep(~np.isin(self.tail.numbers, numbers)))

    def search(self, queries: np.ndarray, count: int, fetch: int) -> Candidates:
        """The `count` nearest faces, best first; raises Tampered.

        All of the tail are compared, and of the segments the `fetch` that are nearest by their
        codes.
        """
        parts = [self._search_tail(queries, count)]
        if self.segments:
            parts.append(self._search_segments(queries, fetch))
        numbers, subjects, vectors = (
            np.concatenate(arrays, axis=1)
            for arrays in zip(*((p.numbers, p.subjects, p.vectors) for p in parts), strict=True)
        )
        scores = np.matmul(vectors.astype(np.float32), queries[:, :, None])[:, :, 0]
        scores[numbers < 0] = -np.inf
        best = np.argsort(-scores, axis=1)[:, :count]
        return Candidates(
            np.take_along_axis(numbers, best, axis=1),
            np.take_along_axis(subjects, best, axis=1),
            np.take_along_axis(vectors, best[:, :, None], axis=1),
        )

    def _search_tail(self, queries: np.ndarray, count: int) -> Candidates:
        near = self.tail.nearest(queries, count)
        return Candidates(
            self.tail.numbers[near],
            self.tail.subjects[near],
            self.tail.vectors[near].astype(np.float16),
        )

    def _search_segments(self, queries: np.ndarray, fetch: int) -> Candidates:
        segment, position = self._choose(queries, fetch)
        found = Candidates(
            np.full(segment.shape, -1, np.int64),
            np.zeros(segment.shape, np.int64),
            np.zeros((*segment.shape, queries.shape[1]), np.float16),
        )
        for index, part in enumerate(self.segments):
            here = segment == index
            positions, again = np.unique(position[here], return_inverse=True)
            vectors = part.vectors(positions)  # each is opened once, whoever is near it
            known = vectors.any(axis=1)
            found.numbers[here] = np.where(known, part.numbers[positions], -1)[again]
            found.subjects[here] = part.subjects[positions][again]
            found.vectors[here] = vectors[again]
        return found

    def _choose(self, queries: np.ndarray, fetch: int) -> tuple[np.ndarray, np.ndarray]:
        """Segment and position (B, F) of the nearest by their codes; segment -1: none."""
        near = [segment.nearest(queries, fetch) for segment in self.segments]
        distances = np.concatenate([part[0] for part in near], axis=1)
        positions = np.concatenate([part[1] for part in near], axis=1)
        widths = [part[0].shape[1] for part in near]
        segments = np.repeat(np.arange(len(near)), widths)
        best = np.argsort(distances, axis=1)[:, :fetch]
        return (
            np.where(np.isfinite(np.take_along_axis(distances, best, axis=1)), segments[best], -1),
            np.take_along_axis(positions, best, axis=1),
        )
