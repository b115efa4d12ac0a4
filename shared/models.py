"""The registry of models trained here: versions, what they were made from, which one is in use."""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import obstore
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from shared.blobs import BlobInfo, Blobs, Upload, record_upload
from shared.db import db_now, insert_into
from shared.tables import TrainedModel

REMEDY = "Train it again, or bring it in again."  # of a file that cannot be used


class UnknownModel(LookupError):
    """The tenant has no such model or version."""


@dataclass(frozen=True)
class ModelName:
    """A model and its version, written `name@version`."""

    name: str
    version: int

    @classmethod
    def parse(cls, text: str) -> "ModelName":
        name, _, version = text.partition("@")
        return cls(name, int(version))

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


def register_model(
    session: Session,
    worker: str,
    name: str,
    upload: Upload,
    metrics: Mapping[str, Any],
    origin: Mapping[str, Any],
) -> ModelName:
    """Record a trained model, in the transaction of its job, as the next version of its name.

    Its file lies in the blob store and never expires. It is in use only once it is promoted.
    """
    mine = (TrainedModel.tenant == upload.tenant, TrainedModel.worker == worker)
    newest = select(func.max(TrainedModel.version)).where(*mine, TrainedModel.name == name)
    while True:
        version = (session.scalar(newest) or 0) + 1
        row = insert_into(session, TrainedModel).values(
            tenant=upload.tenant,
            worker=worker,
            name=name,
            version=version,
            object_name=upload.object_name,
            sha256=upload.info.id,
            metrics=dict(metrics),
            origin=dict(origin),
            promoted_at=None,
            created_at=db_now(),
            deleted_at=None,
        )
        # Another transaction may take the same version: this waits for it, and takes the next.
        made = row.on_conflict_do_nothing().returning(TrainedModel.version)
        if session.scalar(made) is not None:
            return ModelName(name, version)


def find_model(session: Session, tenant: str, worker: str, model: ModelName) -> TrainedModel:
    """Raises UnknownModel."""
    row = session.get(TrainedModel, (tenant, worker, model.name, model.version))
    if row is None or row.deleted_at is not None:
        raise UnknownModel(f"There is no model {model}. `{worker}.models` lists yours.")
    return row


def list_models(session: Session, tenant: str, worker: str) -> list[TrainedModel]:
    return list(
        session.scalars(
            select(TrainedModel)
            .where(TrainedModel.tenant == tenant, TrainedModel.worker == worker)
            .where(TrainedModel.deleted_at.is_(None))
            .order_by(TrainedModel.name, TrainedModel.version)
        )
    )


def promote_model(session: Session, tenant: str, worker: str, model: ModelName | None) -> None:
    """Put a model in use, and the one before out of it; None: the one the worker comes with.

    Raises UnknownModel.
    """
    mine = (TrainedModel.tenant == tenant, TrainedModel.worker == worker)
    session.execute(update(TrainedModel).where(*mine).values(promoted_at=None))
    if model is not None:
        _put_in_use(session, tenant, worker, model)


def promote_version(session: Session, tenant: str, worker: str, model: ModelName) -> None:
    """Put a version in use where only its name is given; other names are not touched.

    Raises UnknownModel.
    """
    mine = (TrainedModel.tenant == tenant, TrainedModel.worker == worker)
    versions = update(TrainedModel).where(*mine, TrainedModel.name == model.name)
    session.execute(versions.values(promoted_at=None))
    _put_in_use(session, tenant, worker, model)


def _put_in_use(session: Session, tenant: str, worker: str, model: ModelName) -> None:
    find_model(session, tenant, worker, model).promoted_at = session.scalar(select(db_now()))


def find_promoted(session: Session, tenant: str, worker: str) -> ModelName | None:
    """The model in use; None for the one that the worker comes with."""
    row = session.execute(
        select(TrainedModel.name, TrainedModel.version).where(
            TrainedModel.tenant == tenant,
            TrainedModel.worker == worker,
            TrainedModel.promoted_at.is_not(None),
        )
    ).first()
    return ModelName(*row) if row else None


def find_version(session: Session, tenant: str, worker: str, asked: str) -> TrainedModel:
    """A model by `name@version`, or by its name: the version in use, or else the newest.

    Raises UnknownModel.
    """
    if "@" in asked:
        return find_model(session, tenant, worker, ModelName.parse(asked))
    versions = (
        select(TrainedModel)
        .where(TrainedModel.tenant == tenant, TrainedModel.worker == worker)
        .where(TrainedModel.name == asked, TrainedModel.deleted_at.is_(None))
        .order_by(TrainedModel.promoted_at.is_(None), TrainedModel.version.desc())
    )
    found = session.scalars(versions.limit(1)).first()
    if found is None:
        raise UnknownModel(f"There is no model {asked}. `{worker}.models` lists yours.")
    return found


def read_model(blobs: Blobs, row: TrainedModel) -> bytes:
    """The file of a model. Raises UnknownModel if it is gone or damaged."""
    content = b""
    with suppress(FileNotFoundError):
        content = bytes(obstore.get(blobs.store, row.object_name).bytes())
    if hashlib.sha256(content).hexdigest() != row.sha256:
        name = ModelName(row.name, row.version)
        raise UnknownModel(f"The file of {name} is gone or damaged. {REMEDY}")
    return content


def delete_model(session: Session, tenant: str, worker: str, model: ModelName) -> None:
    """Forget a model; its file goes with those that have expired. Its version is not given again.

    Raises UnknownModel.
    """
    row = find_model(session, tenant, worker, model)
    # An id that no content has: equal models have files of their own.
    file = BlobInfo(hashlib.sha256(row.object_name.encode()).hexdigest(), 0, "")
    record_upload(session, Upload(tenant, file, row.object_name), keep=0)
    row.deleted_at, row.promoted_at = session.scalar(select(db_now())), None
    row.metrics, row.origin = {}, {}
