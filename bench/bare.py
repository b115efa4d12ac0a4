"""The detector without any server around it: what every server's figures are compared with."""

import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from multiprocessing import get_context
from typing import Any

import torch

from bench.pictures import MODEL
from shared.settings import read_settings
from workers.detect.loaded import DetectWorker
from workers.detect.objects_contract import OBJECTS, ObjectsRequest
from workers.detect.objects_tasks import objects
from workers.runtime.run import JobError, Run

BATCH = OBJECTS.max_batch


class Detector:
    """The worker's own method on the bytes of pictures, on one thread of the CPU."""

    def __init__(self) -> None:
        torch.set_num_threads(1)
        settings = read_settings().model_copy(update={"device": "cpu"})
        self.worker = DetectWorker(settings)
        self.worker.warm_up()

    def detect(self, pictures: Sequence[bytes], **fields: Any) -> list[dict[str, Any]]:
        """The result of each picture as JSON values; fields of the request. Raises JobError."""
        request = ObjectsRequest(**{"picture": "", "model": MODEL} | fields)
        results = []
        runs = [_make_run(request, place, one) for place, one in enumerate(pictures)]
        for answer in objects(self.worker, runs):
            if isinstance(answer, JobError):
                raise answer
            results.append(answer.model_dump(mode="json"))
        return results


def _make_run(request: ObjectsRequest, place: int, picture: bytes) -> Run[ObjectsRequest]:
    return Run(
        job_id=str(place),
        tenant="",
        request=request,
        read=partial(_give, picture),
        save=_refuse,
        report=_refuse,
        tell=_refuse,
        stop_requested=bool,
        settle=_refuse,
    )


def _give(picture: bytes, _: str) -> bytes:
    return picture


def _refuse(*_: Any) -> Any:
    raise AssertionError("detection without annotation saves and reports nothing")


@dataclass(frozen=True)
class Speed:
    """What the bare model does."""

    jobs_per_second: float
    cpu_per_job: float  # milliseconds


class BareModel:
    """The detector in a process of its own, idle unless it is measured."""

    def __init__(self, pictures: Sequence[bytes]) -> None:
        self._pool = ProcessPoolExecutor(
            1, mp_context=get_context("spawn"), initializer=_load, initargs=(list(pictures),)
        )

    def __enter__(self) -> "BareModel":
        self.measure(BATCH, 0.5)  # loads it
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def measure(self, batch: int, seconds: float) -> Speed:
        return self._pool.submit(_measure, batch, seconds).result()


_loaded: list[tuple[Detector, list[bytes]]] = []


def _load(pictures: list[bytes]) -> None:
    _loaded.append((Detector(), pictures))


def _measure(batch: int, seconds: float) -> Speed:
    detector, pictures = _loaded[0]
    stream = cycle(pictures)
    jobs, begun, cpu = 0, time.perf_counter(), time.process_time()
    while (elapsed := time.perf_counter() - begun) < seconds:
        detector.detect(list(islice(stream, batch)))
        jobs += batch
    return Speed(jobs / elapsed, 1000 * (time.process_time() - cpu) / jobs)
