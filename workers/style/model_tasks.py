"""Answers the jobs on one-pass networks themselves: list, promote, delete."""

from collections.abc import Sequence
from functools import partial

from shared.tables import TrainedModel
from workers.runtime.catalogue import Catalogue, tell_own
from workers.runtime.run import JobError, Run
from workers.style.loaded import StyleWorker
from workers.style.model_contract import (
    ForgetRequest,
    ModelsRequest,
    ModelsResult,
    ModelView,
    PromoteRequest,
)
from workers.style.served import ORIGINS, PublishedPainters

FACTS = ("width", "blocks")  # told when it was registered


def models(
    worker: StyleWorker, batch: Sequence[Run[ModelsRequest]]
) -> list[ModelsResult | JobError]:
    """Those that come with Atelier, then the tenant's own by name and version."""
    return open_catalogue(worker).list_all(batch)


def promote(
    worker: StyleWorker, batch: Sequence[Run[PromoteRequest]]
) -> list[ModelsResult | JobError]:
    """A network is loaded first: one that cannot be is never put in use."""
    return open_catalogue(worker).promote(batch)


def forget(
    worker: StyleWorker, batch: Sequence[Run[ForgetRequest]]
) -> list[ModelsResult | JobError]:
    """If it was in use, jobs that name no network get DEFAULT_MODEL from then on."""
    return open_catalogue(worker).forget(batch)


def open_catalogue(worker: StyleWorker) -> Catalogue[ModelView, ModelsResult]:
    return Catalogue(
        worker.painters.choice,
        partial(show_published, worker.painters.published),
        show_own,
        lambda views: ModelsResult(models=views),
    )


def show_published(published: PublishedPainters, name: str, in_use: bool) -> ModelView:
    """Also one whose file is not there."""
    served = published.find(name)
    return ModelView(
        model=name,
        width=None if served is None else served.network.config.width,
        blocks=None if served is None else served.network.config.blocks,
        installed=served is not None,
        metrics={} if served is None else dict(served.metrics),
        origin=ORIGINS[name],
        in_use=in_use,
        created_at=None,
    )


def show_own(row: TrainedModel) -> ModelView:
    return ModelView(**tell_own(row, FACTS), installed=True)
