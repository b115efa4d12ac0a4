"""Answers the jobs that give every pixel of a picture a class."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from workers.runtime.answers import answer_each
from workers.runtime.images import check_jpeg_size, decode, encode_jpeg
from workers.runtime.near_names import find_places
from workers.runtime.run import JobError, Run, TooLarge
from workers.segment.draw import overlay, write_mask
from workers.segment.heat_maps import write_heat_map
from workers.segment.loaded import SegmentWorker
from workers.segment.looking import (
    choose_size,
    count_together,
    score_picture,
    score_together,
)
from workers.segment.mean_maps import MeanMaps
from workers.segment.pixels_contract import Area, HeatMap, PixelsRequest, PixelsResult
from workers.segment.restore import Band
from workers.segment.scores import choose_best
from workers.segment.served import Served
from workers.segment.shapes import write_coco

MOST_MAPS = 64  # heat maps of a job, of 4 MiB each
SMALL = 2**22  # pixels of a picture that may wait in memory for others
LOOKED = 0.8  # of a job's progress, when the whole picture was looked at


@dataclass(frozen=True)
class Opened:
    """A job whose request and picture are good."""

    run: Run[PixelsRequest]
    served: Served
    picture: Image.Image  # RGB
    seen: tuple[int, int]  # height and width of what the network looks at
    classes: tuple[int, ...]  # of heat maps and shapes


def pixels(
    worker: SegmentWorker, batch: Sequence[Run[PixelsRequest]]
) -> list[PixelsResult | JobError]:
    """Small pictures that the same network sees at the same size share a pass of it."""
    choice = worker.segmenters.choice
    return choice.answer_groups(batch, lambda group: _answer_group(worker, group))


def _answer_group(
    worker: SegmentWorker, group: Sequence[Run[PixelsRequest]]
) -> list[PixelsResult | JobError]:
    """Large pictures one by one, so that no two of them are in memory; then the small ones."""
    opened = answer_each(group, lambda run: _answer_if_large(_open(worker, run)))
    waiting: dict[tuple[int, tuple[int, int]], list[Opened]] = {}
    answers: dict[str, PixelsResult | JobError] = {}
    for run, job in zip(group, opened, strict=True):
        if isinstance(job, Opened):
            waiting.setdefault((id(job.served.network), job.seen), []).append(job)
        else:
            answers[run.job_id] = job
    for jobs in waiting.values():
        answers |= _answer_together(jobs)
    return [answers[run.job_id] for run in group]


def _open(worker: SegmentWorker, run: Run[PixelsRequest]) -> Opened:
    request = run.request
    served = worker.segmenters.open(run.tenant, request.model)
    classes = choose_classes(served, request)
    picture = decode(run.read(request.picture), worker.settings.max_pixels)
    if request.overlay:
        check_jpeg_size(*picture.size)
    seen = choose_size(served, *picture.size, request.resolution)
    return Opened(run, served, picture, seen, classes)


def choose_classes(served: Served, request: PixelsRequest) -> tuple[int, ...]:
    """Raises InvalidInput for labels that the network does not know, TooLarge for too many maps."""
    labels = served.labels if request.classes is None else list(dict.fromkeys(request.classes))
    if request.heat_maps and len(labels) > MOST_MAPS:
        raise TooLarge(
            f"{len(labels)} heat maps are too many: name at most {MOST_MAPS} classes in `classes`."
        )
    return tuple(find_places(labels, served.labels))


def _answer_if_large(job: Opened) -> Opened | PixelsResult:
    if job.picture.width * job.picture.height <= SMALL and count_together(job.served, job.seen):
        return job

    def watch(done: float) -> None:
        job.run.progress(LOOKED * done, "looking")

    return _answer(job, score_picture(job.served, job.picture, job.run.request.resolution, watch))


def _answer_together(jobs: Sequence[Opened]) -> Iterator[tuple[str, PixelsResult | JobError]]:
    """By job; of one network and one size seen. Raises Cancelled."""
    served, seen = jobs[0].served, jobs[0].seen
    size = count_together(served, seen)
    for start in range(0, len(jobs), size):
        part = jobs[start : start + size]
        for job in part:
            job.run.progress(0.0, "looking")
        looked = score_together(served, [job.picture for job in part], seen)
        for job, bands in zip(part, looked, strict=True):
            yield job.run.job_id, _try(job, bands)


def _try(job: Opened, bands: Iterable[Band]) -> PixelsResult | JobError:
    [answer] = answer_each([job.run], lambda _run: _answer(job, bands))
    return answer


def _answer(job: Opened, bands: Iterable[Band]) -> PixelsResult:
    """`bands` cover the picture with scores. Raises Cancelled."""
    request, (width, height) = job.run.request, job.picture.size
    mask = np.empty((height, width), np.uint8)
    maps = MeanMaps(job.classes, height, width) if request.heat_maps else None
    for rows, columns, scores in bands:
        job.run.raise_if_cancelled()
        mask[rows, columns] = choose_best(scores).numpy()
        if maps is not None:
            maps.add(rows, columns, scores)
    return PixelsResult(
        width=width,
        height=height,
        model=job.served.name,
        seen=job.seen[::-1],
        areas=measure_areas(job.served, mask),
        mask=job.run.save(write_mask(mask, job.served.palette)),
        overlay=_draw_overlay(job, mask) if request.overlay else None,
        heat_maps=None if maps is None else _draw_heat_maps(job, maps),
        shapes=_write_shapes(job, mask),
    )


def measure_areas(served: Served, mask: np.ndarray) -> list[Area]:
    """Of the classes that are in the mask (H, W), the largest first."""
    counts = np.bincount(mask.ravel(), minlength=len(served.labels))
    order = sorted(np.flatnonzero(counts).tolist(), key=lambda one: -counts[one])
    return [
        Area(
            label=served.labels[one],
            class_id=one,
            colour=served.palette[one],
            pixels=int(counts[one]),
            share=counts[one] / mask.size,
        )
        for one in order
    ]


def _draw_overlay(job: Opened, mask: np.ndarray) -> str:
    """The blob id of a JPEG."""
    served, opacity = job.served, job.run.request.opacity
    drawn = overlay(job.picture, mask, served.palette, opacity, served.background)
    return job.run.save(encode_jpeg(drawn))


def _draw_heat_maps(job: Opened, maps: MeanMaps) -> list[HeatMap]:
    drawn = zip(job.classes, maps.highest.tolist(), maps.find_means(), strict=True)
    return [
        HeatMap(
            label=job.served.labels[one],
            class_id=one,
            highest=round(highest, 4),
            picture=job.run.save(write_heat_map(means)),
        )
        for one, highest, means in drawn
    ]


def _write_shapes(job: Opened, mask: np.ndarray) -> str | None:
    """The blob id of a COCO JSON."""
    form = job.run.request.shapes
    if form is None:
        return None

    def watch(done: float) -> None:
        job.run.progress(LOOKED + (1 - LOOKED) * done, "writing shapes")

    labels = job.served.labels
    return job.run.save(write_coco(mask, labels, job.classes, form, watch))
