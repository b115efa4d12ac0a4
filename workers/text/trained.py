"""The models a tenant trained: kept in the registry, loaded when first asked for."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, TypeVar, cast

from sqlalchemy.orm import Session
from torch import Tensor

from shared import models
from shared.blobs import Blobs
from shared.contract import Message
from shared.db import Sessions
from shared.tables import TrainedModel
from workers.runtime.run import Run
from workers.runtime.tensors import read_tensors, write_tensors
from workers.text.refusals import UnknownModel

WORKER = "text"
FILE = "model.safetensors"
KEPT = 16  # models in memory
MODEL_LIMIT = 4 * 2**30  # bytes of one model

Kind = Literal["language", "classifier", "embedding"]
T = TypeVar("T")
R = TypeVar("R", bound=Message)
Build = Callable[[dict[str, Tensor], dict[str, Any]], T]  # tensors, what they are -> a model


class TrainedModels:
    """Loads models, keeps those asked for last, and puts new ones into the registry."""

    def __init__(self, sessions: Sessions, blobs: Blobs) -> None:
        self.sessions, self.blobs = sessions, blobs
        self._kept: OrderedDict[tuple[str, str, str], Any] = OrderedDict()

    def open(self, tenant: str, asked: str, kind: Kind, build: Build[T]) -> tuple[str, T]:
        """(the full name, the model). Raises UnknownModel."""
        row = self._find(tenant, asked)
        name = str(models.ModelName(row.name, row.version))
        if row.origin["kind"] != kind:
            raise UnknownModel(f"{name} is a model of the kind {row.origin['kind']}, not {kind}.")
        key = (tenant, name, row.sha256)  # the version of a deleted model may be given again
        if key not in self._kept:
            self._kept[key] = build(*self._read(row))
        self._kept.move_to_end(key)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return name, cast(T, self._kept[key])

    def check(self, tenant: str, asked: str) -> None:
        """Raises UnknownModel, also if its file is gone or damaged."""
        self._read(self._find(tenant, asked))

    def add(
        self,
        run: Run[R],
        kind: Kind,
        name: str,
        tensors: Mapping[str, Tensor],
        about: Mapping[str, Any],
        metrics: Mapping[str, Any],
    ) -> None:
        """Store a model; it is registered in the transaction of its job, whose result names it."""
        with TemporaryDirectory() as folder:
            path = Path(folder) / FILE
            write_tensors(path, tensors, about)
            upload = self.blobs.put(run.tenant, [path.read_bytes()], MODEL_LIMIT)
        origin = {
            **run.request.model_dump(mode="json", exclude={"name"}),
            "kind": kind,
            "job": run.job_id,
            "code": version("atelier"),
        }

        def record(session: Session) -> dict[str, Any]:
            model = models.register_model(session, WORKER, name, upload, metrics, origin)
            return {"model": str(model)}

        run.effects.append(record)

    def _find(self, tenant: str, asked: str) -> TrainedModel:
        try:
            with self.sessions.read() as session:
                return models.find_version(session, tenant, WORKER, asked)
        except models.UnknownModel as error:
            raise UnknownModel(str(error)) from error

    def _read(self, row: TrainedModel) -> tuple[dict[str, Tensor], dict[str, Any]]:
        try:
            content = models.read_model(self.blobs, row)
        except models.UnknownModel as error:
            raise UnknownModel(str(error)) from error
        with TemporaryDirectory() as folder:
            path = Path(folder) / FILE
            path.write_bytes(content)
            return read_tensors(path)
