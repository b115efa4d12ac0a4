"""Synthetic embeddings with the spread of real ones, made in chunks, the same on every machine."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

CHUNK = 10_000  # faces made at a time
PER_SUBJECT = 10  # faces of one person; person s has the faces 10 s to 10 s + 9
DECAY = 2.5  # the last direction varies exp(-2.5) times as much as the first
PROBES, STRANGERS = 1_000, 4_000


@dataclass(frozen=True)
class Spread:
    """Mean and deviation of the share of a person, not of noise, in a picture's embedding."""

    gallery: tuple[float, float]
    poor: tuple[float, float]  # blurred or badly lit probes


# Cosines: of one person .72 +- .07 at 512-d, .79 +- .06 at 128-d; of two .00 +- .054, .00 +- .107;
# of a poor probe with the best of its person's ten faces .53 and .68.
SPREADS = {512: Spread((0.85, 0.057), (0.56, 0.105)), 128: Spread((0.889, 0.043), (0.697, 0.092))}


@dataclass(frozen=True)
class Probes:
    """Unit vectors to search with."""

    mated: np.ndarray  # (1000, D) float32: another good picture of the persons 0 to 999
    poor: np.ndarray  # (1000, D): a poor one of the same
    strangers: np.ndarray  # (4000, D): of nobody enrolled

    @property
    def all(self) -> np.ndarray:
        return np.concatenate([self.mated, self.poor, self.strangers])


def make_chunk(dimensions: int, index: int) -> np.ndarray:
    """(CHUNK, D) float16 unit vectors: the faces from index * CHUNK on."""
    rng = np.random.default_rng((dimensions, index))
    persons = np.repeat(_make_persons(rng, dimensions), PER_SUBJECT, axis=0)
    return _picture(rng, persons, SPREADS[dimensions].gallery).astype(np.float16)


def make_probes(dimensions: int) -> Probes:
    persons = _make_persons(np.random.default_rng((dimensions, 0)), dimensions)[:PROBES]
    rng = np.random.default_rng((dimensions, 0, 1))
    spread = SPREADS[dimensions]
    return Probes(
        mated=_picture(rng, persons, spread.gallery),
        poor=_picture(rng, persons, spread.poor),
        strangers=_draw(rng, STRANGERS, dimensions),
    )


def write_faces(path: Path, dimensions: int, count: int) -> np.ndarray:
    """Write the first `count` faces, a multiple of CHUNK, as .npy; (N, D) float16, mapped."""
    faces = np.lib.format.open_memmap(path, "w+", np.float16, (count, dimensions))
    for index in range(count // CHUNK):
        faces[index * CHUNK : (index + 1) * CHUNK] = make_chunk(dimensions, index)
    faces.flush()
    return np.load(path, mmap_mode="r")


def blocks(faces: np.ndarray, size: int = CHUNK) -> Iterator[tuple[int, np.ndarray]]:
    """(first row, (<= size, D) float32) of a large array, one after the other."""
    for start in range(0, len(faces), size):
        yield start, faces[start : start + size].astype(np.float32)


def _make_persons(rng: np.random.Generator, dimensions: int) -> np.ndarray:
    return _draw(rng, CHUNK // PER_SUBJECT, dimensions)


def _draw(rng: np.random.Generator, count: int, dimensions: int) -> np.ndarray:
    """(N, D) float32 unit vectors whose variance decays from the first direction to the last."""
    deviation = np.exp(-DECAY / 2 * np.arange(dimensions, dtype=np.float32) / dimensions)
    return _normalise(rng.standard_normal((count, dimensions), np.float32) * deviation)


def _picture(
    rng: np.random.Generator, persons: np.ndarray, spread: tuple[float, float]
) -> np.ndarray:
    """(N, D) float32: one picture of each person."""
    share = rng.normal(*spread, (len(persons), 1)).clip(0.05, 0.99).astype(np.float32)
    noise = _draw(rng, *persons.shape)
    return _normalise(share * persons + np.sqrt(1 - share**2) * noise)


def _normalise(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
