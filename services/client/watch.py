"""Runs jobs for a command and watches them: a bar, the answer, or why there is none."""

import sys
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any
from uuid import uuid4

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from services.client.client import Client
from services.client.console import SOME_FAILED, leave, tell
from services.client.job import Job, JobEvent
from services.client.problems import ClientError

OnEvent = Callable[[JobEvent], None]


def run_task(client: Client, task: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """The result of one job; without one, says why and ends the command."""
    with Watch(client, task) as watch:
        job = watch.follow(watch.submit(task, request))
    if not job.succeeded:
        raise leave(job.reason, SOME_FAILED)
    return job.result or {}


class Watch:
    """Use it as a context: Ctrl-C cancels the jobs that are still under way.

    So does a reader of standard output who leaves, such as `head`. What else goes wrong here, such
    as a lost connection, leaves them running: they may take hours. Without a total the bar shows
    that it moves, not how far it is. If lines are written while it moves, `live`, there is none on
    a terminal that shows these lines too.
    """

    def __init__(
        self, client: Client, title: str, total: float | None = 1.0, live: bool = False
    ) -> None:
        self.client = client
        self._under_way: dict[str, None] = {}  # job ids, in the order of submission
        self._done = 0.0  # of `total`
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[step]}"),
            console=Console(stderr=True),
            redirect_stdout=False,  # it would send results to stderr
            transient=True,
            disable=not sys.stderr.isatty() or (live and sys.stdout.isatty()),
        )
        self._task = self._bar.add_task(title, total=total, step="")

    def __enter__(self) -> "Watch":
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()
        for job_id in self._under_way:
            if isinstance(error, KeyboardInterrupt | BrokenPipeError):
                self._cancel(job_id)
            else:
                tell(f"Job {job_id} may go on: `atelier jobs show {job_id}` tells.")

    def submit(self, task: str, request: Mapping[str, Any]) -> Job:
        known = {name: value for name, value in request.items() if value is not None}
        key = uuid4().hex
        try:
            job = self.client.submit(task, known, idempotency_key=key)
        except KeyboardInterrupt:  # perhaps it was accepted: the same key gives the same job
            self._under_way[self.client.submit(task, known, idempotency_key=key).id] = None
            raise
        self._under_way[job.id] = None
        return job

    def follow(self, job: Job, weight: float = 1.0, on_event: OnEvent | None = None) -> Job:
        """The job once it has ended; it is `weight` of the total."""
        for event in self.client.events(job.id):
            if on_event:
                on_event(event)
            if "fraction" in event.data:
                self._show(weight * event.data["fraction"], event.data.get("step") or "")
        ended = self.client.wait(job.id)
        del self._under_way[job.id]
        self._done += weight
        self._show(0.0, "")
        return ended

    def _show(self, beyond: float, step: str) -> None:
        self._bar.update(self._task, completed=self._done + beyond, step=step)

    def _cancel(self, job_id: str) -> None:
        try:
            job = self.client.cancel(job_id)
        except ClientError as error:
            tell(f"Could not cancel job {job_id}: {error}")
            return
        ending = "Cancelled" if job.state == "cancelled" else "Asked to stop"
        tell(f"{ending}: job {job_id}.")
