"""The models a tenant trained: kept in the registry, loaded when first asked for."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar, cast

from sqlalchemy.orm import Session
from torch import Tensor

from shared import models
from shared.blobs import Blobs
from shared.contract import Message
from shared.db import Sessions
from shared.tables import TrainedModel
from workers.runtime.run import JobError, Run
from workers.runtime.tensors import read_tensors, write_tensors

FILE = "model.safetensors"
KEPT_BYTES = 2**30  # of the tensors of the models in memory; the newest is always kept
CHUNK = 2**20  # bytes
MODEL_LIMIT = 4 * 2**30  # bytes of one model

T = TypeVar("T")
R = TypeVar("R", bound=Message)
Build = Callable[[dict[str, Tensor], dict[str, Any]], T]  # tensors, what they are -> a model


class UnknownModel(JobError):
    """There is no such model, or it is another tenant's, or of another kind."""

    code = "unknown_model"


class TrainedModels:
    """Loads models, keeps those asked for last, and puts new ones into the registry."""

    def __init__(self, worker: str, sessions: Sessions, blobs: Blobs) -> None:
        self.worker, self.sessions, self.blobs = worker, sessions, blobs
        self._kept: OrderedDict[tuple[str, str], tuple[Any, int]] = OrderedDict()  # bytes

    def open(
        self, tenant: str, asked: str, kind: str, build: Build[T], afresh: bool = False
    ) -> tuple[str, T]:
        """(the full name, the model). Raises UnknownModel.

        `afresh`: its file is read also if the model is in memory.
        """
        row = self._find(tenant, asked)
        name = str(models.ModelName(row.name, row.version))
        if row.origin["kind"] != kind:
            raise UnknownModel(f"{name} is a model of the kind {row.origin['kind']}, not {kind}.")
        key = (tenant, name)
        if afresh or key not in self._kept:
            self._kept[key] = self._load(row, build)
        self._kept.move_to_end(key)
        while len(self._kept) > 1 and sum(size for _, size in self._kept.values()) > KEPT_BYTES:
            self._kept.popitem(last=False)
        return name, cast(T, self._kept[key][0])

    def find_name(self, tenant: str, asked: str) -> str:
        """The full name, of any kind; loads nothing. Raises UnknownModel."""
        row = self._find(tenant, asked)
        return str(models.ModelName(row.name, row.version))

    def read_file(self, tenant: str, asked: str) -> tuple[TrainedModel, bytes]:
        """What is registered of a model, and its file. Raises UnknownModel."""
        row = self._find(tenant, asked)
        return row, self._read_bytes(row)

    def check(self, tenant: str, asked: str) -> None:
        """Raises UnknownModel, also if its file is gone or damaged."""
        self._read(self._find(tenant, asked))

    def add(
        self,
        run: Run[R],
        kind: str,
        name: str,
        tensors: Mapping[str, Tensor],
        about: Mapping[str, Any],
        metrics: Mapping[str, Any],
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        """Store a model; it is registered in the transaction of its job, whose result names it.

        Its origin is the request of the job, and `facts`: what lists of models show of it.
        """
        with TemporaryDirectory() as folder:
            path = Path(folder) / FILE
            write_tensors(path, tensors, about)
            with path.open("rb") as file:
                chunks = iter(partial(file.read, CHUNK), b"")
                upload = self.blobs.put(run.tenant, chunks, MODEL_LIMIT)
        origin = {
            **run.request.model_dump(mode="json", exclude={"name"}),
            **(facts or {}),
            "kind": kind,
            "job": run.job_id,
            "code": version("atelier"),
        }

        def record(session: Session) -> dict[str, Any]:
            model = models.register_model(session, self.worker, name, upload, metrics, origin)
            return {"model": str(model)}

        run.effects.append(record)

    def _find(self, tenant: str, asked: str) -> TrainedModel:
        try:
            with self.sessions.read() as session:
                return models.find_version(session, tenant, self.worker, asked)
        except models.UnknownModel as error:
            raise UnknownModel(str(error)) from error

    def _load(self, row: TrainedModel, build: Build[T]) -> tuple[T, int]:
        """(the model, the bytes of its tensors). Raises UnknownModel."""
        tensors, about = self._read(row)
        try:
            model = build(tensors, about)
        except ValueError as error:
            name = models.ModelName(row.name, row.version)
            raise UnknownModel(f"{name} cannot be loaded: {error} {models.REMEDY}") from error
        return model, sum(tensor.nbytes for tensor in tensors.values())

    def _read(self, row: TrainedModel) -> tuple[dict[str, Tensor], dict[str, Any]]:
        content = self._read_bytes(row)
        with TemporaryDirectory() as folder:
            path = Path(folder) / FILE
            path.write_bytes(content)
            return read_tensors(path)

    def _read_bytes(self, row: TrainedModel) -> bytes:
        try:
            return models.read_model(self.blobs, row)
        except models.UnknownModel as error:
            raise UnknownModel(str(error)) from error


def change_registry(
    run: Run[Any], change: Callable[[Session], None], show: Callable[[Session], Message]
) -> None:
    """Change models in the transaction of the job; its result is what `show` then shows.

    The job is refused with UnknownModel if `change` raises that of the registry.
    """

    def record(session: Session) -> dict[str, Any]:
        try:
            change(session)
        except models.UnknownModel as error:
            raise UnknownModel(str(error)) from error
        session.flush()
        return show(session).model_dump(mode="json")

    run.effects.append(record)
