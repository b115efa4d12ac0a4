"""Answers the jobs that make and choose encoders."""

import shutil
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sqlalchemy.orm import Session

from shared.models import ModelName, UnknownModel, list_models, promote_model, register_model
from workers.faces.align import DLIB_SIDE, DLIB_TEMPLATE, align
from workers.faces.audit import append_line
from workers.faces.encoders import WORKER
from workers.faces.evaluate import measure, score_pairs
from workers.faces.folders import FaceFolders, fit_square, read_zip
from workers.faces.loaded import FacesWorker, actor
from workers.faces.metrics import draw_roc, equal_error_rate
from workers.faces.picture_contract import DEFAULT_MODEL
from workers.faces.refusals import WrongModel
from workers.faces.siamese import Architecture, SiameseNet, save_network, to_faces
from workers.faces.train import Progress, TrainOptions
from workers.faces.train import train as train_network
from workers.faces.training_contract import (
    ModelsRequest,
    ModelsResult,
    ModelView,
    PromoteRequest,
    TrainRequest,
    TrainResult,
)
from workers.runtime.answers import answer_each
from workers.runtime.checkpoints import drop_checkpoints, open_checkpoints
from workers.runtime.images import encode_jpeg
from workers.runtime.run import InvalidInput, JobError, Run

MODEL_LIMIT = 2**30  # bytes of one trained model
USELESS = 0.45  # an equal error rate that is hardly better than guessing
LEAST_TEST = 2  # people: fewer have no pair of strangers


def train(worker: FacesWorker, batch: Sequence[Run[TrainRequest]]) -> list[TrainResult | JobError]:
    return answer_each(batch, lambda run: _train(worker, run))


def _train(worker: FacesWorker, run: Run[TrainRequest]) -> TrainResult:
    """A worker that is killed goes on from the last checkpoint when the job is claimed again."""
    request = run.request
    run.progress(0.0, "reading the pictures")
    data = read_zip(run.read(request.pictures), Architecture().side, partial(_cut, worker))
    learning, test = data.split(request.held_out, request.seed)
    if len(test.names) < LEAST_TEST:
        raise InvalidInput(
            f"{len(data.names)} people are too few to train on some and test on others. "
            "Send more people, or a larger `held_out`."
        )
    options = TrainOptions(
        loss=request.loss,
        mining=request.mining,
        margin=request.margin,
        steps=request.steps,
        seed=request.seed,
    )
    folder = open_checkpoints(worker.settings, worker.sessions, run.job_id)
    try:
        trained = train_network(options, learning, partial(_report, run), folder, worker.device)
    except ValueError as error:
        raise InvalidInput(str(error)) from error
    genuine, impostor = _score(trained.network, test)
    if equal_error_rate(genuine, impostor) > USELESS:
        shutil.rmtree(folder)
        raise InvalidInput(
            "The network did not learn to tell people apart it had not seen. Send more people or "
            "pictures, another `seed`, or mining=semi-hard; nothing was kept."
        )
    found = {**trained.metrics, **_summarise(genuine, impostor)}
    roc = run.save(encode_jpeg(draw_roc(genuine, impostor, f"{len(test.names)} unseen people")))
    _register(worker, run, trained.network, found, folder)
    return TrainResult(
        metrics={name: round(value, 5) for name, value in found.items()},
        steps=int(trained.metrics["steps"]),
        people={"trained or validated": len(learning.names), "tested": len(test.names)},
        roc=roc,
    )


def _cut(worker: FacesWorker, picture: Image.Image, side: int) -> np.ndarray:
    """The largest face, aligned as it will be in use; of a picture that is a face, its middle."""
    seen = worker.look(picture, 1)
    if not seen:
        return fit_square(picture, side)
    return align(picture, seen[0].found.landmarks, DLIB_TEMPLATE * (side / DLIB_SIDE), side)


def _report(run: Run[TrainRequest], progress: Progress) -> None:
    error = progress.validation_eer
    seen = "" if error is None else f", EER {error:.1%} on people kept back"
    run.progress(progress.fraction, f"step {progress.step}: loss {progress.loss:.4f}{seen}")


def _score(network: SiameseNet, test: FaceFolders) -> tuple[np.ndarray, np.ndarray]:
    points = network.encode(to_faces(test.chips, network.architecture.channels))
    return score_pairs(points, test.labels)


def _summarise(genuine: np.ndarray, impostor: np.ndarray) -> dict[str, float]:
    """The metrics, and what thresholds are derived from: how strangers' scores are spread."""
    spread = {"impostor_mean": float(impostor.mean()), "impostor_std": float(impostor.std())}
    return {**measure(genuine, impostor), **spread}


def _register(
    worker: FacesWorker,
    run: Run[TrainRequest],
    network: SiameseNet,
    metrics: dict[str, float],
    folder: Path,
) -> None:
    path = folder / "model.safetensors"
    save_network(network, path)
    upload = worker.blobs.put(run.tenant, [path.read_bytes()], MODEL_LIMIT)
    drop_checkpoints(run, folder)
    origin = {
        **run.request.model_dump(mode="json", exclude={"name"}),
        "job": run.job_id,
        "code": version("atelier"),
        "dimensions": network.architecture.dimensions,
    }

    key = worker.key(run.tenant)

    def record(session: Session) -> dict[str, Any]:
        model = register_model(session, WORKER, run.request.name, upload, metrics, origin)
        append_line(session, key, actor(run), "train", None, {"model": str(model)})
        return {"model": str(model)}

    run.effects.append(record)


def models(
    worker: FacesWorker, batch: Sequence[Run[ModelsRequest]]
) -> list[ModelsResult | JobError]:
    def answer(run: Run[ModelsRequest]) -> ModelsResult:
        with worker.sessions.read() as session:
            return _list(session, run.tenant)

    return answer_each(batch, answer)


def _list(session: Session, tenant: str) -> ModelsResult:
    trained = list_models(session, tenant, WORKER)
    in_use = [row for row in trained if row.promoted_at is not None]
    shipped = ModelView(
        model=DEFAULT_MODEL, dimensions=128, metrics={}, origin={}, default=not in_use
    )
    views = [
        ModelView(
            model=str(ModelName(row.name, row.version)),
            dimensions=row.origin["dimensions"],
            metrics=row.metrics,
            origin=row.origin,
            default=row.promoted_at is not None,
        )
        for row in trained
    ]
    return ModelsResult(models=[shipped, *views])


def promote(
    worker: FacesWorker, batch: Sequence[Run[PromoteRequest]]
) -> list[ModelsResult | JobError]:
    return answer_each(batch, lambda run: _promote(worker, run))


def _promote(worker: FacesWorker, run: Run[PromoteRequest]) -> ModelsResult:
    """The model is loaded first: one that does not load is never put in use."""
    model = run.request.model
    worker.encoders.open(run.tenant, model)
    chosen = None if model == DEFAULT_MODEL else ModelName.parse(model)

    key = worker.key(run.tenant)

    def put_in_use(session: Session) -> dict[str, Any]:
        try:
            promote_model(session, run.tenant, WORKER, chosen)
        except UnknownModel as error:
            raise WrongModel(str(error)) from error
        append_line(session, key, actor(run), "promote", None, {"model": model})
        return _list(session, run.tenant).model_dump(mode="json")

    run.effects.append(put_in_use)
    return ModelsResult(models=[])
