"""Answers the jobs that paint a picture in one pass, with a network that learned one style."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from PIL import Image

from workers.runtime.answers import answer_each
from workers.runtime.images import decode
from workers.runtime.run import JobError, Run
from workers.style.apply_memory import check_memory, count_together
from workers.style.colours import keep_colours
from workers.style.loaded import StyleWorker
from workers.style.pictures import encode_painting, fit, to_image, to_tensor
from workers.style.served import Served
from workers.style.training_contract import ApplyRequest, ApplyResult

DEFAULT_SIDE = 1024  # pixels of the longer side, of pictures that have more


@dataclass(frozen=True)
class Opened:
    """A job whose request and picture are good."""

    run: Run[ApplyRequest]
    served: Served
    picture: Image.Image  # RGB, of the size of the result


def apply(worker: StyleWorker, batch: Sequence[Run[ApplyRequest]]) -> list[ApplyResult | JobError]:
    """Pictures of one size, for the same network, share a pass of it."""
    choice = worker.painters.choice
    return choice.answer_groups(batch, lambda group: _answer_group(worker, group))


def _answer_group(
    worker: StyleWorker, group: Sequence[Run[ApplyRequest]]
) -> list[ApplyResult | JobError]:
    opened = answer_each(group, lambda run: _open(worker, run))
    alike: dict[tuple[int, tuple[int, int]], list[Opened]] = {}
    answers: dict[str, ApplyResult | JobError] = {}
    for run, job in zip(group, opened, strict=True):
        if isinstance(job, Opened):
            alike.setdefault((id(job.served.network), job.picture.size), []).append(job)
        else:
            answers[run.job_id] = job
    for jobs in alike.values():
        answers |= _answer_together(jobs)
    return [answers[run.job_id] for run in group]


def _open(worker: StyleWorker, run: Run[ApplyRequest]) -> Opened:
    request = run.request
    served = worker.painters.open(run.tenant, request.model)
    picture = decode(run.read(request.picture), worker.settings.max_pixels)
    size = fit(*picture.size, request.size or min(max(picture.size), DEFAULT_SIDE))
    check_memory(served.network.config, *size)
    return Opened(run, served, picture.resize(size, Image.Resampling.LANCZOS))


def _answer_together(jobs: Sequence[Opened]) -> Iterator[tuple[str, ApplyResult]]:
    """By job; of one network and one size. Raises Cancelled."""
    most = count_together(*jobs[0].picture.size)
    for start in range(0, len(jobs), most):
        part = jobs[start : start + most]
        for job in part:
            job.run.progress(0.0, "painting")
        pixels = torch.cat([to_tensor(job.picture) for job in part])
        for job, painted in zip(part, part[0].served.paint(pixels), strict=True):
            yield job.run.job_id, _answer(job, to_image(painted[None]))


def _answer(job: Opened, painted: Image.Image) -> ApplyResult:
    request, (width, height) = job.run.request, painted.size
    if request.colours == "content":
        painted = keep_colours(painted, job.picture)
    shown = Image.blend(job.picture, painted, request.strength)
    return ApplyResult(
        picture=job.run.save(encode_painting(shown)),
        width=width,
        height=height,
        model=job.served.name,
    )
