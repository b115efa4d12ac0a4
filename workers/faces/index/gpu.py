"""Searches segments exactly on a CUDA device, where faiss-gpu finds one. Not measured yet."""

import threading
from dataclasses import replace

import faiss
import numpy as np
import structlog

from workers.faces.index.segment import CHUNK, Segment

log = structlog.get_logger()

MOST = 2048  # neighbours that FAISS gives on a device


def has_gpu() -> bool:
    return hasattr(faiss, "StandardGpuResources") and faiss.get_num_gpus() > 0


class GpuVectors:
    """Takes the place of a segment's codes: its vectors as float16 on the device."""

    def __init__(self, dimensions: int) -> None:
        config = faiss.GpuIndexFlatConfig()
        config.useFloat16 = True
        self._index = faiss.GpuIndexFlatL2(faiss.StandardGpuResources(), dimensions, config)
        self._lock = threading.Lock()  # on a device not even two searches go together

    def add(self, vectors: np.ndarray) -> None:
        self._index.add(vectors.astype(np.float32))

    def search(self, queries: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        with self._lock:
            distances, positions = self._index.search(queries, min(count, MOST))
        return distances, positions


def move_to_gpu(segment: Segment) -> Segment:
    """The segment with its vectors on the device, or as it is if they do not fit."""
    vectors = GpuVectors(segment.place.dimensions)
    try:
        for start in range(0, len(segment.numbers), CHUNK):
            end = min(start + CHUNK, len(segment.numbers))
            vectors.add(segment.vectors(np.arange(start, end)))
    except RuntimeError as error:  # what FAISS makes of a full device
        log.warning("segment stays in memory", segment=segment.name, error=str(error))
        return segment
    return replace(segment, codes=vectors)
