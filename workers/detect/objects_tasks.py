"""Answers the jobs that find the objects of one picture."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from torch import Tensor

from workers.detect.draw import annotate
from workers.detect.finding import Search, name_boxes, plan_search, predict, put_on_square
from workers.detect.loaded import DetectWorker
from workers.detect.objects_contract import ObjectsRequest, ObjectsResult
from workers.detect.process import Fit
from workers.detect.served import Served
from workers.runtime.answers import answer_each
from workers.runtime.images import decode, encode_jpeg
from workers.runtime.run import JobError, Run


@dataclass(frozen=True)
class Opened:
    """A job whose request and picture are good."""

    run: Run[ObjectsRequest]
    served: Served
    search: Search
    square: np.ndarray  # (side, side, 3) uint8
    fit: Fit
    picture: Image.Image | None  # kept only if it will be drawn on


def objects(
    worker: DetectWorker, batch: Sequence[Run[ObjectsRequest]]
) -> list[ObjectsResult | JobError]:
    """The pictures of all jobs that want the same detector share one pass of it."""
    choice = worker.detectors.choice
    return choice.answer_groups(batch, lambda group: _answer_group(worker, group))


def _answer_group(
    worker: DetectWorker, group: Sequence[Run[ObjectsRequest]]
) -> list[ObjectsResult | JobError]:
    opened = answer_each(group, lambda run: _open(worker, run))
    answers: dict[str, ObjectsResult | JobError] = {}
    shared: dict[int, list[Opened]] = {}
    for run, job in zip(group, opened, strict=True):
        if isinstance(job, JobError):
            answers[run.job_id] = job
        else:
            shared.setdefault(id(job.served.network), []).append(job)
    found = (one for jobs in shared.values() for one in _find(jobs))
    answers |= {job.run.job_id: result for job, result in found}
    return [answers[run.job_id] for run in group]


def _open(worker: DetectWorker, run: Run[ObjectsRequest]) -> Opened:
    served = worker.detectors.open(run.tenant, run.request.model)
    search = plan_search(served, run.request)
    picture = decode(run.read(run.request.picture), worker.settings.max_pixels)
    square, fit = put_on_square(served, picture)
    return Opened(run, served, search, square, fit, picture if run.request.annotate else None)


def _find(group: Sequence[Opened]) -> Iterator[tuple[Opened, ObjectsResult]]:
    predictions = predict(group[0].served, [job.square for job in group])
    for job, prediction in zip(group, predictions, strict=True):
        yield job, _answer(job, *prediction)


def _answer(job: Opened, boxes: Tensor, scores: Tensor) -> ObjectsResult:
    found = name_boxes(job.served, job.search, job.fit, boxes, scores)
    annotated = None
    if job.picture is not None:
        annotated = job.run.save(encode_jpeg(annotate(job.picture, found)))
    width, height = job.fit.picture
    return ObjectsResult(
        width=width, height=height, boxes=found, annotated=annotated, model=job.served.name
    )
