"""The echo worker: no model, only behaviour."""

import ctypes
import os
import signal
import time
from collections.abc import Sequence
from functools import partial

from sqlalchemy import Column, Integer, MetaData, String, Table, insert
from sqlalchemy.orm import Session
from workers.echo.contract import (
    ACT,
    COUNT,
    SAY,
    ActRequest,
    CountRequest,
    CountResult,
    SayRequest,
    SayResult,
)

from shared.settings import Settings
from workers.runtime.run import InvalidInput, Run
from workers.runtime.serve import serve

# No unique key on purpose: a second effect of one job must be seen, not prevented.
EFFECTS = Table("echo_effects", MetaData(), Column("job", String(32)), Column("number", Integer))


class EchoWorker:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def say(self, batch: Sequence[Run[SayRequest]]) -> list[SayResult]:
        return [
            SayResult(
                text=run.request.text,
                size=len(run.read(run.request.file)) if run.request.file else 0,
            )
            for run in batch
        ]

    def act(self, batch: Sequence[Run[ActRequest]]) -> list[SayResult]:
        for run in batch:
            self._act(run)
        return [SayResult(text=run.request.act) for run in batch]

    def count(self, batch: Sequence[Run[CountRequest]]) -> list[CountResult]:
        for run in batch:
            time.sleep(run.request.seconds)
            run.effects.append(partial(note_effect, run.job_id, run.request.number))
        return [CountResult(number=run.request.number) for run in batch]

    def _act(self, run: Run[ActRequest]) -> None:
        match run.request.act:
            case "raise":
                raise ValueError("asked to")
            case "refuse":
                raise InvalidInput("There is nothing in it.")
            case "crash":
                os.kill(os.getpid(), signal.SIGKILL)
            case "segfault":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "memory":
                raise MemoryError
            case "hang":
                ctypes.PyDLL(None).sleep(int(run.request.seconds))  # holds the GIL
            case "sleep":
                _sleep(run)


def note_effect(job_id: str, number: int, session: Session) -> None:
    session.execute(insert(EFFECTS).values(job=job_id, number=number))


def _sleep(run: Run[ActRequest]) -> None:
    started = time.monotonic()
    while (passed := time.monotonic() - started) < run.request.seconds:
        run.progress(passed / run.request.seconds, "sleeping")
        time.sleep(0.02)


app = serve(
    "echo",
    EchoWorker,
    {SAY: EchoWorker.say, ACT: EchoWorker.act, COUNT: EchoWorker.count},
)
