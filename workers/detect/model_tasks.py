"""Answers the jobs on detectors themselves: list, promote, delete."""

from collections.abc import Callable, Sequence

from sqlalchemy.orm import Session

from shared.models import ModelName, delete_model, list_models, promote_model
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
from workers.runtime.trained import change_registry

FACTS = ("classes", "side", "score_threshold", "iou_threshold")  # told when it was registered


def models(
    worker: DetectWorker, batch: Sequence[Run[ModelsRequest]]
) -> list[ModelsResult | JobError]:
    """Those that come with Atelier, then the tenant's own by name and version."""

    def answer(run: Run[ModelsRequest]) -> ModelsResult:
        with worker.sessions.read() as session:
            return list_all(worker, session, run.tenant)

    return answer_each(batch, answer)


def promote(
    worker: DetectWorker, batch: Sequence[Run[PromoteRequest]]
) -> list[ModelsResult | JobError]:
    """A detector is loaded first: one that cannot be is never put in use."""
    return answer_each(batch, lambda run: _promote(worker, run))


def _promote(worker: DetectWorker, run: Run[PromoteRequest]) -> ModelsResult:
    asked = run.request.model
    name = None if asked == DEFAULT_MODEL else ModelName.parse(asked)
    if name is not None:
        worker.detectors.check(run.tenant, asked)
    return _change(worker, run, lambda session: promote_model(session, run.tenant, WORKER, name))


def forget(
    worker: DetectWorker, batch: Sequence[Run[ForgetRequest]]
) -> list[ModelsResult | JobError]:
    """If it was in use, jobs that name no detector get DEFAULT_MODEL from then on."""

    def answer(run: Run[ForgetRequest]) -> ModelsResult:
        name = ModelName.parse(run.request.model)
        return _change(worker, run, lambda session: delete_model(session, run.tenant, WORKER, name))

    return answer_each(batch, answer)


def _change(
    worker: DetectWorker,
    run: Run[PromoteRequest] | Run[ForgetRequest],
    change: Callable[[Session], None],
) -> ModelsResult:
    """The detectors as they are then."""
    change_registry(run, change, lambda session: list_all(worker, session, run.tenant))
    return ModelsResult(models=[])


def list_all(worker: DetectWorker, session: Session, tenant: str) -> ModelsResult:
    rows = list_models(session, tenant, WORKER)
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
