"""Answers the jobs on detectors themselves: list, promote, delete."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from sqlalchemy.orm import Session

from shared.models import ModelName, list_models
from shared.tables import TrainedModel
from workers.detect.fields import DEFAULT_MODEL
from workers.detect.loaded import WORKER, DetectWorker
from workers.detect.model_contract import (
    ForgetRequest,
    ModelsRequest,
    ModelsResult,
    ModelView,
    PromoteRequest,
)
from workers.detect.served import Served
from workers.runtime.answers import answer_each
from workers.runtime.run import JobError, Run

FACTS = ("classes", "side", "score_threshold", "iou_threshold")  # told when it was registered


def models(
    worker: DetectWorker, batch: Sequence[Run[ModelsRequest]]
) -> list[ModelsResult | JobError]:
    """Those that come with Atelier, then the tenant's own by name and version."""

    def answer(run: Run[ModelsRequest]) -> ModelsResult:
        with worker.sessions.read() as session:
            return list_all(worker, run, session)

    return answer_each(batch, answer)


def promote(
    worker: DetectWorker, batch: Sequence[Run[PromoteRequest]]
) -> list[ModelsResult | JobError]:
    """A detector is loaded first: one that cannot be is never put in use."""

    def answer(run: Run[PromoteRequest]) -> ModelsResult:
        worker.detectors.choice.promote(run, run.request.model, partial(list_all, worker, run))
        return ModelsResult(models=[])

    return answer_each(batch, answer)


def forget(
    worker: DetectWorker, batch: Sequence[Run[ForgetRequest]]
) -> list[ModelsResult | JobError]:
    """If it was in use, jobs that name no detector get DEFAULT_MODEL from then on."""

    def answer(run: Run[ForgetRequest]) -> ModelsResult:
        worker.detectors.choice.forget(run, run.request.model, partial(list_all, worker, run))
        return ModelsResult(models=[])

    return answer_each(batch, answer)


def list_all(worker: DetectWorker, run: Run[Any], session: Session) -> ModelsResult:
    rows = list_models(session, run.tenant, WORKER)
    default = all(row.promoted_at is None for row in rows)
    published = [
        show_published(served, default and name == DEFAULT_MODEL)
        for name, served in worker.detectors.published.items()
    ]
    return ModelsResult(models=published + [show_own(row) for row in rows])


def show_published(served: Served, in_use: bool) -> ModelView:
    return ModelView(
        model=served.name,
        classes=list(served.labels),
        side=served.side,
        score_threshold=served.suppression.score_threshold,
        iou_threshold=served.suppression.iou_threshold,
        metrics={},
        origin={},
        in_use=in_use,
        created_at=None,
    )


def show_own(row: TrainedModel) -> ModelView:
    origin = dict(row.origin)
    facts = {name: origin.pop(name) for name in FACTS}
    return ModelView(
        model=str(ModelName(row.name, row.version)),
        **facts,
        metrics=row.metrics,
        origin=origin,
        in_use=row.promoted_at is not None,
        created_at=row.created_at,
    )
