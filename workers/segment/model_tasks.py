"""Answers the jobs on segmentation networks themselves: list, promote, delete."""

from collections.abc import Sequence
from functools import partial

from shared.tables import TrainedModel
from workers.runtime.catalogue import Catalogue, tell_own
from workers.runtime.run import JobError, Run
from workers.segment.loaded import SegmentWorker
from workers.segment.model_contract import (
    ForgetRequest,
    ModelsRequest,
    ModelsResult,
    ModelView,
    PromoteRequest,
)
from workers.segment.served import PublishedNetworks

FACTS = ("classes", "colours", "encoder", "stride", "resolution")  # told when it was registered


def models(
    worker: SegmentWorker, batch: Sequence[Run[ModelsRequest]]
) -> list[ModelsResult | JobError]:
    """Those that come with Atelier, then the tenant's own by name and version."""
    return open_catalogue(worker).list_all(batch)


def promote(
    worker: SegmentWorker, batch: Sequence[Run[PromoteRequest]]
) -> list[ModelsResult | JobError]:
    """A network is loaded first: one that cannot be is never put in use."""
    return open_catalogue(worker).promote(batch)


def forget(
    worker: SegmentWorker, batch: Sequence[Run[ForgetRequest]]
) -> list[ModelsResult | JobError]:
    """If it was in use, jobs that name no network get DEFAULT_MODEL from then on."""
    return open_catalogue(worker).forget(batch)


def open_catalogue(worker: SegmentWorker) -> Catalogue[ModelView, ModelsResult]:
    return Catalogue(
        worker.segmenters.choice,
        partial(show_published, worker.segmenters.published),
        show_own,
        lambda views: ModelsResult(models=views),
    )


def show_published(published: PublishedNetworks, name: str, in_use: bool) -> ModelView:
    """Also one whose weights are not there."""
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
    return ModelView(**tell_own(row, FACTS), installed=True)
