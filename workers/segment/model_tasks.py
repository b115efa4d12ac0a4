"""Answers the jobs on segmentation networks themselves: list, promote, delete."""

from collections.abc import Sequence
from functools import partial
from typing import Any, get_args

from sqlalchemy.orm import Session

from shared.models import ModelName, list_models
from shared.tables import TrainedModel
from workers.runtime.answers import answer_each
from workers.runtime.run import JobError, Run
from workers.segment.fields import DEFAULT_MODEL, Published
from workers.segment.loaded import WORKER, SegmentWorker
from workers.segment.model_contract import (
    ForgetRequest,
    ModelsRequest,
    ModelsResult,
    ModelView,
    PromoteRequest,
)

FACTS = ("classes", "colours", "encoder", "stride", "resolution")  # told when it was registered


def models(
    worker: SegmentWorker, batch: Sequence[Run[ModelsRequest]]
) -> list[ModelsResult | JobError]:
    """Those that come with Atelier, then the tenant's own by name and version."""

    def answer(run: Run[ModelsRequest]) -> ModelsResult:
        with worker.sessions.read() as session:
            return list_all(worker, run, session)

    return answer_each(batch, answer)


def promote(
    worker: SegmentWorker, batch: Sequence[Run[PromoteRequest]]
) -> list[ModelsResult | JobError]:
    """A network is loaded first: one that cannot be is never put in use."""

    def answer(run: Run[PromoteRequest]) -> ModelsResult:
        worker.segmenters.choice.promote(run, run.request.model, partial(list_all, worker, run))
        return ModelsResult(models=[])

    return answer_each(batch, answer)


def forget(
    worker: SegmentWorker, batch: Sequence[Run[ForgetRequest]]
) -> list[ModelsResult | JobError]:
    """If it was in use, jobs that name no network get DEFAULT_MODEL from then on."""

    def answer(run: Run[ForgetRequest]) -> ModelsResult:
        worker.segmenters.choice.forget(run, run.request.model, partial(list_all, worker, run))
        return ModelsResult(models=[])

    return answer_each(batch, answer)


def list_all(worker: SegmentWorker, run: Run[Any], session: Session) -> ModelsResult:
    rows = list_models(session, run.tenant, WORKER)
    default = all(row.promoted_at is None for row in rows)
    published = [
        show_published(worker, name, default and name == DEFAULT_MODEL)
        for name in get_args(Published)
    ]
    return ModelsResult(models=published + [show_own(row) for row in rows])


def show_published(worker: SegmentWorker, name: Published, in_use: bool) -> ModelView:
    """Also one whose weights are not there."""
    published = worker.segmenters.published
    facts = published.tell_facts(name)
    return ModelView(
        model=name,
        classes=list(facts.labels),
        colours=list(facts.palette),
        encoder=facts.encoder,
        stride=facts.stride,
        resolution=facts.resolution,
        installed=published.is_installed(name),
        metrics=facts.metrics,
        origin=facts.origin,
        in_use=in_use,
        created_at=None,
    )


def show_own(row: TrainedModel) -> ModelView:
    origin = dict(row.origin)
    facts = {name: origin.pop(name) for name in FACTS}
    return ModelView(
        model=str(ModelName(row.name, row.version)),
        **facts,
        installed=True,
        metrics=row.metrics,
        origin=origin,
        in_use=row.promoted_at is not None,
        created_at=row.created_at,
    )
