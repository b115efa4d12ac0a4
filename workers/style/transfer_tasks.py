"""Answers the jobs that paint a picture anew, by optimisation."""

from collections.abc import Hashable, Sequence

from workers.runtime.checkpoints import open_checkpoints
from workers.runtime.run import SETTLED, Cancelled, JobError, Run, Settled
from workers.style.loaded import StyleWorker
from workers.style.painting import Painting, paint
from workers.style.painting_job import PaintingJob
from workers.style.precision import choose_precision
from workers.style.recipe import make_plan
from workers.style.transfer_contract import TransferRequest
from workers.style.transfer_inputs import limit, read_picture, read_subject
from workers.style.transfer_memory import check_memory


def transfer(worker: StyleWorker, batch: Sequence[Run[TransferRequest]]) -> list[Settled]:
    """Paintings that one pass of the network can advance go together, a step each in turn.

    Each job is settled as soon as it ends, and the others go on.
    """
    jobs = begin_all(worker, batch)
    while jobs:
        for group in group_alike(jobs):
            advance(group)
        jobs = [job for job in jobs if not job.is_settled]
    return [SETTLED] * len(batch)


def begin_all(worker: StyleWorker, batch: Sequence[Run[TransferRequest]]) -> list[PaintingJob]:
    jobs: list[PaintingJob] = []
    for run in batch:
        try:
            jobs.append(begin(worker, run))
        except (JobError, Cancelled) as end:
            run.settle(end)
    return jobs


def begin(worker: StyleWorker, run: Run[TransferRequest]) -> PaintingJob:
    """A killed job goes on from its checkpoint. Raises JobErrors, and Cancelled."""
    request = run.request
    content = read_picture(run, request.content, "content", worker.settings.max_pixels)
    plan = make_plan(request, *content.size)
    content = limit(content, (plan.scales[-1].width, plan.scales[-1].height))
    subject = read_subject(run, plan, content, worker.settings.max_pixels)
    check_memory(plan, subject, worker.device)
    features = worker.features(plan.network, plan.pooling)
    precision = choose_precision(request.precision, worker.device)
    return PaintingJob(
        run,
        Painting(subject, plan, precision, worker.device),
        features,
        content,
        open_checkpoints(worker.settings, worker.sessions, run.job_id),
        worker.settings.checkpoint_every,
    )


def group_alike(jobs: Sequence[PaintingJob]) -> list[list[PaintingJob]]:
    groups: dict[Hashable, list[PaintingJob]] = {}
    for job in jobs:
        groups.setdefault(job.painting.key, []).append(job)
    return list(groups.values())


def advance(group: Sequence[PaintingJob]) -> None:
    """One step of each. If some are to stop in its midst, they end, and the others wait."""

    def watch() -> None:
        for job in group:
            job.run.raise_if_cancelled()

    try:
        paint([job.painting for job in group], group[0].features, watch)
    except Cancelled as end:
        for job in group:
            if job.run.stop_requested():
                job.end(end)
        return
    for job in group:
        tell(job)


def tell(job: PaintingJob) -> None:
    """What followers see of a step, and the outcome after the last one."""
    try:
        if job.painting.failed is None:
            job.report()
        if job.painting.is_over():
            job.end(job.finish())
    except (JobError, Cancelled) as end:
        job.end(end)
