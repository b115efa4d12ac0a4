"""The models that jobs can choose from: those that come with Atelier, and a tenant's own."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy.orm import Session

from shared.contract import Message
from shared.models import ModelName, delete_model, find_promoted, promote_model
from workers.runtime.answers import answer_each
from workers.runtime.run import JobError, Run
from workers.runtime.trained import Build, TrainedModels, UnknownModel, change_registry

T = TypeVar("T")
R = TypeVar("R")
A = TypeVar("A")
Show = Callable[[Session], Message]  # the models as they are then


@dataclass(frozen=True)
class Choice(Generic[T]):
    """Opens models by name; a tenant's own are loaded when they are first asked for."""

    models: TrainedModels
    kind: str  # of a tenant's own in the registry
    build: Build[T]
    published: Mapping[str, T]  # those that come with Atelier, by name
    default: str  # the one of them that jobs get who name none, until the tenant promotes another

    def open(self, tenant: str, asked: str | None) -> tuple[str, T]:
        """(the full name, the model). None: the one in use. Raises UnknownModel."""
        return self._look_up(tenant, asked, self._open)

    def find_name(self, tenant: str, asked: str | None) -> str:
        """The full name of what `open` would open now; loads nothing. Raises UnknownModel."""
        return self._look_up(tenant, asked, self._find_name)

    def answer_groups(
        self,
        batch: Sequence[Run[Any]],
        answer: Callable[[Sequence[Run[Any]]], Sequence[A | JobError]],
    ) -> list[A | JobError]:
        """Of jobs with a `model`: what `answer` says of those that want the same one.

        One model follows the other, for all of a batch may be more than the memory holds. Another
        may be put in use after the names were looked up, so a group may still open several.
        """
        names = answer_each(batch, lambda run: self.find_name(run.tenant, run.request.model))
        answers: dict[str, A | JobError] = {}
        groups: dict[tuple[str, str], list[Run[Any]]] = {}
        for run, name in zip(batch, names, strict=True):
            if isinstance(name, JobError):
                answers[run.job_id] = name
            else:
                owner = "" if name in self.published else run.tenant
                groups.setdefault((owner, name), []).append(run)
        for group in groups.values():
            for run, one in zip(group, answer(group), strict=True):
                answers[run.job_id] = one
        return [answers[run.job_id] for run in batch]

    def find_in_use(self, tenant: str) -> str:
        """The name of the model for jobs that name none."""
        with self.models.sessions.read() as session:
            promoted = find_promoted(session, tenant, self.models.worker)
        return self.default if promoted is None else str(promoted)

    def promote(self, run: Run[Any], asked: str, show: Show) -> None:
        """Put a model in use with the outcome of the job. Raises UnknownModel.

        It is loaded from its file first: one that cannot be is never put in use.
        """
        name = None if asked == self.default else ModelName.parse(asked)
        if name is not None:
            self.models.open(run.tenant, asked, self.kind, self.build, afresh=True)
        worker = self.models.worker
        change_registry(run, lambda session: promote_model(session, run.tenant, worker, name), show)

    def forget(self, run: Run[Any], asked: str, show: Show) -> None:
        """Delete a model with the outcome of the job; if it was in use, the default is then."""
        name, worker = ModelName.parse(asked), self.models.worker
        change_registry(run, lambda session: delete_model(session, run.tenant, worker, name), show)

    def _look_up(self, tenant: str, asked: str | None, find: Callable[[str, str], R]) -> R:
        if asked is not None:
            return find(tenant, asked)
        name = self.find_in_use(tenant)
        try:
            return find(tenant, name)
        except UnknownModel:
            now = self.find_in_use(tenant)
            if now == name:
                raise
            return find(tenant, now)  # the other was deleted in between

    def _find_name(self, tenant: str, name: str) -> str:
        return name if name in self.published else self.models.find_name(tenant, name)

    def _open(self, tenant: str, name: str) -> tuple[str, T]:
        if name in self.published:
            return name, self.published[name]
        return self.models.open(tenant, name, self.kind, self.build)
