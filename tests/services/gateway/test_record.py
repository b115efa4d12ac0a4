"""Submits that arrive together share a transaction, and none pays for another's fault."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from services.gateway.record import Recorder, Submission
from shared.blobs import Blobs
from shared.contract import Message, Task
from shared.db import Sessions
from shared.identifiers import new_id
from shared.sealing import Keyring
from shared.settings import Settings
from shared.tables import Job


class Request(Message):
    content: dict[str, Any]


TASK = Task("shop.store", Request, Request, "Store it.", example={"content": {}})
TOGETHER = 8


class Gate:
    """The first transaction waits until the others are in line; all are counted."""

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions
        self.begun = 0
        self.first_waits = threading.Event()
        self.open = threading.Event()
        self.error: Exception | None = None

    @contextmanager
    def begin(self) -> Iterator[Session]:
        self.begun += 1
        self.first_waits.set()
        assert self.open.wait(10)
        if self.error:
            raise self.error
        with self.sessions.begin() as session:
            yield session


@pytest.fixture
def gate(sessions: Sessions) -> Gate:
    return Gate(sessions)


@pytest.fixture
def recorder(gate: Gate, tmp_path: Path) -> Recorder:
    keyring = Keyring(Settings(home=tmp_path), gate.sessions)
    blobs = Blobs(f"file://{tmp_path}/blobs", gate.sessions)
    return Recorder(gate, blobs, keyring)  # type: ignore[arg-type]


def make(content: Any = None) -> Submission:
    message = Request(content={"value": content})
    return Submission(new_id(), "ann", TASK, message, 1, 60.0, 60.0, None, [])


def record_together(recorder: Recorder, gate: Gate, submissions: list[Submission]) -> list[Any]:
    """What each submit got: the state of its job, or the error."""

    def record(submission: Submission) -> Any:
        try:
            return recorder.record(submission).job.id
        except Exception as error:  # noqa: BLE001  (whatever it got)
            return error

    with ThreadPoolExecutor(len(submissions)) as pool:
        first = pool.submit(record, submissions[0])
        assert gate.first_waits.wait(10)
        others = [pool.submit(record, submission) for submission in submissions[1:]]
        while len(recorder.waiting) < len(others):
            pass
        gate.open.set()
        return [future.result(10) for future in [first, *others]]


def count_jobs(sessions: Sessions) -> int:
    with sessions.read() as session:
        return session.scalar(select(func.count()).select_from(Job)) or 0


def test_submits_that_wait_share_one_transaction(recorder: Recorder, gate: Gate):
    submissions = [make() for _ in range(1 + TOGETHER)]
    assert record_together(recorder, gate, submissions) == [s.job_id for s in submissions]
    assert gate.begun == 2
    assert count_jobs(gate.sessions) == 1 + TOGETHER


def test_one_that_cannot_be_stored_fails_alone(recorder: Recorder, gate: Gate):
    submissions = [make() for _ in range(1 + TOGETHER)]
    submissions[4] = replace(make(), priority=None)  # no row may lack it
    results = record_together(recorder, gate, submissions)
    failed = results.pop(4)
    assert isinstance(failed, Exception)
    del submissions[4]
    assert results == [submission.job_id for submission in submissions]
    assert count_jobs(gate.sessions) == TOGETHER


def test_with_the_database_away_nobody_is_told_of_success(recorder: Recorder, gate: Gate):
    gate.error = OperationalError("BEGIN", {}, Exception("away"))
    results = record_together(recorder, gate, [make() for _ in range(1 + TOGETHER)])
    assert all(isinstance(result, OperationalError) for result in results)
    assert gate.begun == 2  # once for each transaction, not once for each submit
    assert count_jobs(gate.sessions) == 0
