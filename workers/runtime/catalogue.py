"""Answers the jobs on models themselves, of every worker whose jobs choose one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from sqlalchemy.orm import Session

from shared.contract import Message
from shared.models import ModelName, list_models
from shared.tables import TrainedModel
from workers.runtime.answers import answer_each
from workers.runtime.choice import Choice
from workers.runtime.run import JobError, Run

V = TypeVar("V", bound=Message)  # of one model, as lists show it
R = TypeVar("R", bound=Message)  # of all of them


@dataclass(frozen=True)
class Catalogue(Generic[V, R]):
    """Lists the models of a choice, puts one of them in use, and deletes those of a tenant."""

    choice: Choice[Any]
    show_published: Callable[[str, bool], V]  # its name, whether it is in use
    show_own: Callable[[TrainedModel], V]
    collect: Callable[[list[V]], R]

    def list_all(self, batch: Sequence[Run[Any]]) -> list[R | JobError]:
        """Those that come with Atelier, then the tenant's own by name and version."""

        def answer(run: Run[Any]) -> R:
            with self.choice.models.sessions.read() as session:
                return self.show(run.tenant, session)

        return answer_each(batch, answer)

    def promote(self, batch: Sequence[Run[Any]]) -> list[R | JobError]:
        """Put `model` of the request in use; the answer is completed with the outcome.

        It is loaded first: one that cannot be is never put in use.
        """
        return self._change(batch, self.choice.promote)

    def forget(self, batch: Sequence[Run[Any]]) -> list[R | JobError]:
        """Delete `model` of the request; the answer is completed with the outcome.

        If it was in use, jobs that name no model get the default from then on.
        """
        return self._change(batch, self.choice.forget)

    def show(self, tenant: str, session: Session) -> R:
        rows = list_models(session, tenant, self.choice.models.worker)
        default = all(row.promoted_at is None for row in rows)
        published = [
            self.show_published(name, default and name == self.choice.default)
            for name in self.choice.published
        ]
        return self.collect(published + [self.show_own(row) for row in rows])

    def _change(
        self,
        batch: Sequence[Run[Any]],
        change: Callable[[Run[Any], str, Callable[[Session], R]], None],
    ) -> list[R | JobError]:
        def answer(run: Run[Any]) -> R:
            change(run, run.request.model, partial(self.show, run.tenant))
            return self.collect([])

        return answer_each(batch, answer)


def tell_own(row: TrainedModel, facts: Sequence[str]) -> dict[str, Any]:
    """What all lists show of a tenant's model, and `facts`, told when it was registered."""
    origin = dict(row.origin)
    return {
        **{name: origin.pop(name) for name in facts},
        "model": str(ModelName(row.name, row.version)),
        "metrics": row.metrics,
        "origin": origin,
        "in_use": row.promoted_at is not None,
        "created_at": row.created_at,
    }
