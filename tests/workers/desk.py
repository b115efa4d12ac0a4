"""Does the jobs of a tenant as a worker process does, without a queue in between."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from sqlalchemy.orm import Session

from shared.contract import Message
from shared.identifiers import new_id
from workers.runtime.run import Cancelled, InvalidInput, JobError, Run, Settled

KEEP = 3600.0  # seconds that a file is kept
LIMIT = 2**32  # bytes of a file

W = TypeVar("W", bound=Any)  # a worker object: it has `sessions` and `blobs`
Method = Callable[[Any, Sequence[Run[Any]]], Sequence[Message | JobError | Settled]]


@dataclass
class Desk(Generic[W]):
    """Files lie in the blob store of the worker, unless a kind of worker says otherwise."""

    worker: W
    tenant: str = field(default_factory=new_id)
    steps: list[dict[str, Any]] = field(default_factory=list)  # the events of all jobs
    lines: list[dict[str, Any]] = field(default_factory=list)  # the parts of all answers
    settled: dict[str, Message | JobError | Cancelled] = field(default_factory=dict)  # by job
    stops: Callable[[], bool] = lambda: False

    @property
    def checkpoints(self) -> Path:
        """Where each job that can go on has a folder."""
        home: Path = self.worker.settings.home
        return home / "checkpoints"

    def list_checkpoints(self) -> list[str]:
        """The ids of those jobs."""
        return [one.name for one in self.checkpoints.iterdir()] if self.checkpoints.exists() else []

    def add(self, content: bytes) -> str:
        """A file of the tenant; its blob id."""
        return self.worker.blobs.add(self.tenant, [content], KEEP, LIMIT).id

    def read(self, blob_id: str) -> bytes:
        try:
            return self.worker.blobs.read(self.tenant, blob_id)
        except KeyError as error:
            raise InvalidInput(f"The file {blob_id} is gone. Upload it again.") from error

    def make(self, request: Message) -> Run[Any]:
        job_id = new_id()
        return Run(
            job_id=job_id,
            tenant=self.tenant,
            request=request,
            read=self.read,
            save=self.add,
            report=self.steps.append,
            tell=self.lines.extend,
            stop_requested=self.stops,
            settle=partial(self.settled.__setitem__, job_id),
            key_id=7,
        )

    def do_all(
        self,
        method: Method,
        *requests: Message,
    ) -> list[Any]:
        """The results of one batch, each after its effects, or the refusals; of one that was
        cancelled what it kept."""
        runs = [self.make(request) for request in requests]
        answers = method(self.worker, runs)
        assert len(answers) == len(runs)
        return [self.finish(run, answer) for run, answer in zip(runs, answers, strict=True)]

    def finish(
        self, run: Run[Any], answer: Message | JobError | Settled
    ) -> Message | JobError | None:
        """Record the outcome in a transaction of its own, with the effects of the job."""
        ended = self.settled[run.job_id] if isinstance(answer, Settled) else answer
        if isinstance(ended, Cancelled):
            return run.kept
        if isinstance(ended, JobError):
            return ended
        try:
            with self.worker.sessions.begin() as session:
                added = [fields for effect in run.effects if (fields := effect(session))]
        except JobError as refusal:
            return refusal
        values = ended.model_dump(mode="json")
        for fields in added:
            values |= fields
        return type(ended).model_validate(values)

    def do(
        self,
        method: Method,
        request: Message,
    ) -> Any:
        [answer] = self.do_all(method, request)
        assert not isinstance(answer, JobError), answer
        return answer

    def refuse(
        self,
        method: Method,
        request: Message,
    ) -> tuple[str, str]:
        """The code and the text of a refusal."""
        [answer] = self.do_all(method, request)
        assert isinstance(answer, JobError), answer
        return answer.code, str(answer)

    def change(self, action: Callable[[Session], Any]) -> None:
        with self.worker.sessions.begin() as session:
            action(session)
