"""Part of a collection that grows no more: one-bit codes in memory, sealed vectors on disk.

The codes are RaBitQ's (Gao and Long, SIGMOD 2024), searched by FAISS; they only propose
candidates, the vectors decide. A segment has three files, named after it:

- `.rows`: the sealed embeddings exactly as in SQL, one after the other, opened one by one when
  they are candidates; zeros where a face was deleted;
- `.faces`: numbers and subjects, sealed as a whole;
- `.codes`: the FAISS index, sealed as a whole.

Seals are bound to the collection, the segment and the face: what was changed, cut or put there
from elsewhere is neither handed to FAISS nor taken for a vector.
"""

import mmap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import NamedTuple, Protocol, cast

import faiss
import numpy as np

from shared.sealing import NONCE, Tampered
from workers.faces.index.backend import open_vector, sealed_size
from workers.faces.index.files import Place, write_new

SUFFIXES = (".rows", ".faces", ".codes")
CHUNK = 8192  # vectors coded at a time: 16 MB at 512-d


class SealedFace(NamedTuple):
    number: int
    subject: int
    sealed: bytes  # 2 D + OVERHEAD


class Codes(Protocol):
    """What proposes candidates."""

    def search(self, queries: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """(B, D) -> squared distances and positions (B, K), -1 where there are fewer."""


@dataclass(frozen=True)
class Segment:
    """Immutable but for its erased rows: who deletes faces gets another segment."""

    place: Place
    name: str
    numbers: np.ndarray  # (N,) int64, rising
    subjects: np.ndarray  # (N,) int64
    live: np.ndarray  # (N,) bool
    codes: Codes
    code_bytes: int
    rows: mmap.mmap

    @classmethod
    def open(cls, place: Place, name: str) -> "Segment":
        """Raises Tampered, FileNotFoundError."""
        numbers, subjects = np.frombuffer(place.read(f"{name}.faces"), "<i8").reshape(2, -1)
        with (place.folder / f"{name}.rows").open("r+b") as file:
            size = file.seek(0, 2)
            if size != len(numbers) * sealed_size(place.dimensions):
                raise Tampered(f"The file {name}.rows was cut or grew.")
            rows = mmap.mmap(file.fileno(), size)
        rows.madvise(mmap.MADV_RANDOM)
        content = np.frombuffer(place.read(f"{name}.codes"), np.uint8)
        codes = cast(Codes, faiss.deserialize_index(content))
        live = np.ones(len(numbers), bool)
        return cls(place, name, numbers, subjects, live, codes, len(content), rows)

    def __len__(self) -> int:
        """Live faces."""
        return int(np.count_nonzero(self.live))

    @property
    def dead(self) -> int:
        return len(self.numbers) - len(self)

    @property
    def hot_bytes(self) -> int:
        """In memory."""
        arrays = self.numbers.nbytes + self.subjects.nbytes + self.live.nbytes
        return arrays + self.code_bytes

    @property
    def disk_bytes(self) -> int:
        return len(self.rows) + self.hot_bytes - self.live.nbytes

    def find(self, numbers: np.ndarray) -> np.ndarray:
        """The positions of those faces that are in here."""
        at = np.searchsorted(self.numbers, numbers)
        inside = at < len(self.numbers)
        at, numbers = at[inside], numbers[inside]
        found: np.ndarray = at[self.numbers[at] == numbers]
        return found

    def erase(self, numbers: np.ndarray) -> "Segment":
        """The segment without these faces; their rows are overwritten for every process."""
        positions = self.find(numbers)
        if not self.live[positions].any():
            return self
        for position in positions.tolist():
            start, end = self._span(position)
            # the nonce first: who reads half of it meanwhile can see that it was no damage
            self.rows[start : start + NONCE] = bytes(NONCE)
            self.rows[start:end] = bytes(end - start)
        live = self.live.copy()
        live[positions] = False
        return replace(self, live=live)

    def faces(self) -> Iterator[SealedFace]:
        """Those that no process has erased."""
        for position in np.flatnonzero(self.live).tolist():
            sealed = self._read(position)
            if not self._is_erased(position):
                number, subject = self.numbers[position], self.subjects[position]
                yield SealedFace(int(number), int(subject), sealed)

    def vectors(self, positions: np.ndarray) -> np.ndarray:
        """(N, D) float16; zeros where another process has erased one. Raises Tampered."""
        place, found = self.place, []
        for position, number in zip(
            positions.tolist(), self.numbers[positions].tolist(), strict=True
        ):
            try:
                vector = open_vector(place.key, place.collection_id, number, self._read(position))
            except Tampered:
                if not self._is_erased(position):
                    raise
                vector = np.zeros(place.dimensions, "<f2")
            found.append(vector)
        return np.array(found, "<f2").reshape(-1, place.dimensions)

    def nearest(self, queries: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """(B, D) -> estimated squared distances and positions (B, K) of live faces, best first.

        K is `count`, or all live faces if they are fewer. A distance is infinite where the codes
        did not find this many.
        """
        total, count = len(self.numbers), min(count, len(self))
        asked = max(1, count)
        while True:
            distances, positions = self.codes.search(queries, min(asked, total))
            distances[(positions < 0) | ~self.live[positions]] = np.inf
            if asked >= total or np.isfinite(distances).sum(axis=1).min(initial=count) == count:
                break
            asked *= 2  # deleted faces took the places of others
        order = np.argsort(distances, axis=1)[:, :count]
        return (
            np.take_along_axis(distances, order, axis=1),
            np.take_along_axis(positions, order, axis=1),
        )

    def _span(self, position: int) -> tuple[int, int]:
        size = sealed_size(self.place.dimensions)
        return position * size, (position + 1) * size

    def _read(self, position: int) -> bytes:
        start, end = self._span(position)
        return self.rows[start:end]

    def _is_erased(self, position: int) -> bool:
        return not any(self._read(position)[:NONCE])


def write_segment(place: Place, name: str, faces: Iterable[SealedFace]) -> int:
    """Write the files of a new segment; how many faces are in it. None: no files either.

    Raises Tampered if an embedding is not what was sealed.
    """
    stream = iter(faces)
    first = list(islice(stream, CHUNK))
    if not first:
        return 0
    numbers: list[int] = []
    subjects: list[int] = []
    codes = faiss.IndexRaBitQFastScan(place.dimensions, faiss.METRIC_L2)

    def take_up() -> Iterator[bytes]:
        for chunk in chain([first], iter(lambda: list(islice(stream, CHUNK)), [])):
            vectors = _open(place, chunk)
            if not codes.is_trained:
                codes.train(vectors)  # only their mean
            codes.add(vectors)
            numbers.extend(face.number for face in chunk)
            subjects.extend(face.subject for face in chunk)
            yield b"".join(face.sealed for face in chunk)

    write_new(place.folder / f"{name}.rows", take_up())
    place.write(f"{name}.faces", np.array([numbers, subjects], "<i8").tobytes())
    place.write(f"{name}.codes", faiss.serialize_index(codes).tobytes())
    return len(numbers)


def _open(place: Place, faces: Sequence[SealedFace]) -> np.ndarray:
    """(N, D) float32."""
    vectors = [
        open_vector(place.key, place.collection_id, face.number, face.sealed) for face in faces
    ]
    return np.array(vectors, np.float32)
