"""Answers the jobs on detectors themselves: list, promote, delete."""

from collections.abc import Sequence

from shared.tables import TrainedModel
from workers.detect.loaded import DetectWorker
from workers.detect.model_contract import (
    ForgetRequest,
    ModelsRequest,
    ModelsResult,
    ModelView,
    PromoteRequest,
)
from workers.detect.served import Served
from workers.runtime.catalogue import Catalogue, tell_own
from workers.runtime.run import JobError, Run

FACTS = ("classes", "side", "score_threshold", "iou_threshold")  # told when it was registered


def models(
    worker: DetectWorker, batch: Sequence[Run[ModelsRequest]]
) -> list[ModelsResult | JobError]:
    """Those that come with Atelier, then the tenant's own by name and version."""
    return open_catalogue(worker).list_all(batch)


def promote(
    worker: DetectWorker, batch: Sequence[Run[PromoteRequest]]
) -> list[ModelsResult | JobError]:
    """A detector is loaded first: one that cannot be is never put in use."""
    return open_catalogue(worker).promote(batch)


def forget(
    worker: DetectWorker, batch: Sequence[Run[ForgetRequest]]
) -> list[ModelsResult | JobError]:
    """If it was in use, jobs that name no detector get DEFAULT_MODEL from then on."""
    return open_catalogue(worker).forget(batch)


def open_catalogue(worker: DetectWorker) -> Catalogue[ModelView, ModelsResult]:
    published = worker.detectors.published
    return Catalogue(
        worker.detectors.choice,
        lambda name, in_use: show_published(published[name], in_use),
        show_own,
        lambda views: ModelsResult(models=views),
    )


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
    return ModelView(**tell_own(row, FACTS))
