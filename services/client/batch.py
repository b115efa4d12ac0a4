"""Runs one task over many files, a bounded number at a time."""

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any

from services.client.client import Client
from services.client.job import Job
from services.client.problems import ClientError, Problem

Save = Callable[[Path, Job], Path | None]


@dataclass(frozen=True)
class Outcome:
    """What became of one file."""

    photo: Path
    job: Job | None  # None if it could not be submitted
    saved: Path | None
    reason: str  # why there is no result; empty if all went well
    seconds: float  # from the start of the upload to the end


@dataclass(frozen=True)
class Plan:
    """What to do with each file."""

    task: str
    make_request: Callable[[str], dict[str, Any]]  # from a blob id
    priority: str | None = None
    save: Save | None = None  # called with each job that succeeded
    wait: bool = True


class Batch:
    """Use it as a context: leaving by an exception cancels the jobs still under way."""

    def __init__(self, client: Client, plan: Plan, parallel: int) -> None:
        self.client = client
        self.plan = plan
        self.parallel = parallel
        self.cancelled: list[str] = []  # job ids
        self.stopping: list[str] = []  # were running: asked to stop
        self.left: list[str] = []  # could not be cancelled
        self._pool = ThreadPoolExecutor(parallel, thread_name_prefix="batch")
        self._unfinished: dict[str, None] = {}  # job ids; a dict, since its changes are atomic

    def __enter__(self) -> "Batch":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self.client.stop()
        # Join first: a submit in flight may still add a job to cancel.
        self._pool.shutdown(wait=True, cancel_futures=True)
        if error is not None:
            self._cancel_unfinished()

    def outcomes(self, photos: Iterable[Path]) -> Iterator[Outcome]:
        """One for each file, in the order they end; holds at most `parallel` at a time."""
        remaining = iter(photos)
        running: set[Future[Outcome]] = set()
        while True:
            for photo in islice(remaining, self.parallel - len(running)):
                running.add(self._pool.submit(self._run, photo))
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()

    def _run(self, photo: Path) -> Outcome:
        """Failures of this file are its outcome; those of the server or the key end the batch."""
        started = time.monotonic()
        job: Job | None = None
        saved: Path | None = None
        try:
            job = self._submit(photo)
            if self.plan.wait:
                job = self._wait_for(job)
                if job.succeeded and self.plan.save:
                    saved = self.plan.save(photo, job)
            reason = job.reason if job.finished else ""
        except Problem as problem:
            if problem.unauthorised:
                raise
            reason = str(problem)
        except OSError as error:
            reason = f"{error.strerror or error}: {error.filename or photo}"
        return Outcome(photo, job, saved, reason, time.monotonic() - started)

    def _submit(self, photo: Path) -> Job:
        blob = self.client.upload(photo)
        request = self.plan.make_request(blob["id"])
        return self.client.submit(self.plan.task, request, priority=self.plan.priority)

    def _wait_for(self, job: Job) -> Job:
        self._unfinished[job.id] = None
        ended = self.client.wait(job.id)
        del self._unfinished[job.id]
        return ended

    def _cancel_unfinished(self) -> None:
        for job_id in list(self._unfinished):
            try:
                job = self.client.cancel(job_id)
            except ClientError:
                self.left.append(job_id)
                continue
            if job.state == "cancelled":
                self.cancelled.append(job_id)
            elif not job.finished:
                self.stopping.append(job_id)
