"""Answers the jobs that use trained models: write, classify, list, promote, delete."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from sqlalchemy.orm import Session
from torch import Tensor

from shared.models import ModelName, delete_model, list_models, promote_version
from workers.runtime.answers import answer_each
from workers.runtime.run import InvalidInput, JobError, Run
from workers.runtime.trained import change_registry
from workers.text.classifier import weigh_labels
from workers.text.evaluate import to_perplexity
from workers.text.generate import join_texts, write_text
from workers.text.loaded import WORKER, TextWorker
from workers.text.model_contract import (
    Classified,
    ClassifyRequest,
    ClassifyResult,
    ForgetRequest,
    GenerateRequest,
    GenerateResult,
    ModelsRequest,
    ModelsResult,
    ModelView,
    PromoteRequest,
)
from workers.text.saved import KnownLabels, load_classifier, load_language
from workers.text.tokenise import cut

STEP = 50  # tokens between two reports of progress


def generate(
    worker: TextWorker, batch: Sequence[Run[GenerateRequest]]
) -> list[GenerateResult | JobError]:
    return answer_each(batch, lambda run: _generate(worker, run))


def _generate(worker: TextWorker, run: Run[GenerateRequest]) -> GenerateResult:
    request = run.request
    load = partial(load_language, device=worker.device)
    name, known = worker.models.open(run.tenant, request.model, "language", load)

    def watch(written: int) -> None:
        if written % STEP == 0:
            run.progress(written / request.length, f"{written} of {request.length} tokens")

    continuation, loss = write_text(
        known.network,
        known.lexicon,
        request.prefix,
        request.length,
        temperature=request.temperature,
        top_k=request.top_k,
        seed=request.seed,
        watch=watch,
    )
    return GenerateResult(
        model=name,
        text=join_texts(known.lexicon.tokeniser, request.prefix, continuation),
        continuation=continuation,
        perplexity=to_perplexity(loss),
    )


def classify(
    worker: TextWorker, batch: Sequence[Run[ClassifyRequest]]
) -> list[ClassifyResult | JobError]:
    """The texts of all jobs that want the same model are read side by side."""
    opened = answer_each(batch, lambda run: _open(worker, run))
    groups: dict[int, list[_Asked]] = {}
    for asked in opened:
        if isinstance(asked, _Asked):
            groups.setdefault(id(asked.known), []).append(asked)
    shown = {id(asked): result for group in groups.values() for asked, result in _weigh(group)}
    return [asked if isinstance(asked, JobError) else shown[id(asked)] for asked in opened]


@dataclass(frozen=True)
class _Asked:
    """The texts of one job, as its model reads them."""

    run: Run[ClassifyRequest]
    model: str
    known: KnownLabels
    texts: list[np.ndarray]


def _open(worker: TextWorker, run: Run[ClassifyRequest]) -> _Asked:
    load = partial(load_classifier, device=worker.device)
    name, known = worker.models.open(run.tenant, run.request.model, "classifier", load)
    lexicon = known.lexicon
    texts = [lexicon.encode(cut(lexicon.tokeniser, text)) for text in run.request.texts]
    empty = [place for place, text in enumerate(texts) if not len(text)]
    if empty:
        raise InvalidInput(
            f"Text {empty[0]}, counted from 0, has no token, and {len(empty) - 1} more have none. "
            f"The model reads {lexicon.tokeniser.unit}: leave such texts out."
        )
    return _Asked(run, name, known, texts)


def _weigh(group: Sequence[_Asked]) -> Iterator[tuple[_Asked, ClassifyResult]]:
    """Of jobs that want the same model. Raises Cancelled once any of them is: then each half of
    the batch is asked for again."""
    known = group[0].known

    def watch() -> None:
        for asked in group:
            asked.run.raise_if_cancelled()

    texts = [text for asked in group for text in asked.texts]
    weights = weigh_labels(known.network, texts, watch).exp()
    counts = [len(asked.texts) for asked in group]
    for asked, own in zip(group, torch.split(weights, counts), strict=True):
        items = [_show_label(known.labels, row) for row in own]
        yield asked, ClassifyResult(model=asked.model, items=items)


def _show_label(labels: Sequence[str], row: Tensor) -> Classified:
    probabilities = dict(zip(labels, row.tolist(), strict=True))
    best = labels[int(row.argmax())]
    return Classified(label=best, probability=probabilities[best], probabilities=probabilities)


def models(
    worker: TextWorker, batch: Sequence[Run[ModelsRequest]]
) -> list[ModelsResult | JobError]:
    def answer(run: Run[ModelsRequest]) -> ModelsResult:
        with worker.sessions.read() as session:
            return _list(session, run.tenant)

    return answer_each(batch, answer)


def _list(session: Session, tenant: str) -> ModelsResult:
    """The version that is meant by a name alone is the promoted one, or else the newest."""
    rows = list_models(session, tenant, WORKER)  # by name and version
    meant = {row.name: row.version for row in rows}
    meant |= {row.name: row.version for row in rows if row.promoted_at is not None}
    views = [
        ModelView(
            model=str(ModelName(row.name, row.version)),
            kind=row.origin["kind"],
            metrics=row.metrics,
            origin=row.origin,
            in_use=meant[row.name] == row.version,
            created_at=row.created_at,
        )
        for row in rows
    ]
    return ModelsResult(models=views)


def promote(
    worker: TextWorker, batch: Sequence[Run[PromoteRequest]]
) -> list[ModelsResult | JobError]:
    """A file is read first: a model that cannot be loaded is never put in use."""

    def answer(run: Run[PromoteRequest]) -> ModelsResult:
        worker.models.check(run.tenant, run.request.model)
        return _change(run, promote_version)

    return answer_each(batch, answer)


def forget(
    _worker: TextWorker, batch: Sequence[Run[ForgetRequest]]
) -> list[ModelsResult | JobError]:
    return answer_each(batch, lambda run: _change(run, delete_model))


def _change(
    run: Run[PromoteRequest] | Run[ForgetRequest],
    change: Callable[[Session, str, str, ModelName], None],
) -> ModelsResult:
    """The models as they are then."""
    name = ModelName.parse(run.request.model)
    change_registry(
        run,
        lambda session: change(session, run.tenant, WORKER, name),
        lambda session: _list(session, run.tenant),
    )
    return ModelsResult(models=[])
