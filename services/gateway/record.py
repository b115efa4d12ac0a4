"""Writes submissions into the database: those that arrive together share a transaction."""

import hashlib
import json
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Insert, insert, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from services.gateway.problems import Problem
from shared.blobs import Blobs, Upload, prolong, record_upload
from shared.contract import Message, Task, list_sealed
from shared.db import Sessions, db_now, insert_into
from shared.jobs.machine import State
from shared.sealing import Keyring, seal_fields
from shared.tables import IdempotencyKey, Job

MAX_TOGETHER = 64  # submissions of one transaction

NOW = select(db_now())
INSERT_JOBS: Insert = insert(Job)


@dataclass(frozen=True)
class Submission:
    """A checked request, ready to be recorded."""

    job_id: str
    tenant: str
    task: Task
    message: Message
    priority: int
    deadline: float  # seconds from now
    ttl: float
    key: str | None
    uploads: Sequence[Upload]
    key_id: int | None = None

    @property
    def fingerprint(self) -> str:
        """The same for every submit that asks for the same thing."""
        asked = [self.task.name, self.message.model_dump(mode="json")]
        options = [self.priority, self.deadline, self.ttl]
        return hashlib.sha256(json.dumps([asked, options], sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Recorded:
    job: Job
    created: bool  # False: an earlier submit with the same key made it


@dataclass
class Turn:
    """A submission on its way into the database."""

    submission: Submission
    request: dict[str, Any]  # as it is stored
    result: Recorded | Exception | None = None


@dataclass
class Transaction:
    """What is done in one transaction, and what is to be done after it."""

    session: Session
    now: float
    new_jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    unused_objects: list[str] = field(default_factory=list)


class Recorder:
    """Group commit: whoever comes first writes for all who come while it waits for its turn."""

    def __init__(self, sessions: Sessions, blobs: Blobs, keyring: Keyring) -> None:
        self._sessions, self._blobs, self._keyring = sessions, blobs, keyring
        self.waiting: list[Turn] = []
        self._lock = threading.Lock()
        self._writing = threading.Lock()

    def record(self, submission: Submission) -> Recorded:
        """The job of this submission, durable. Raises Problem, or SQLAlchemyError if it is not."""
        turn = Turn(submission, self._seal(submission))
        with self._lock:
            self.waiting.append(turn)
        with self._writing:
            while turn.result is None:
                with self._lock:
                    turns = self.waiting[:MAX_TOGETHER]
                    del self.waiting[:MAX_TOGETHER]
                self._write(turns)
        if isinstance(turn.result, Exception):
            raise turn.result
        return turn.result

    def knows(self, tenant: str, key: str | None) -> bool:
        """Whether a submit with this key would make no new job."""
        if key is None:
            return False
        with self._sessions.read() as session:
            return session.get(IdempotencyKey, (tenant, key)) is not None

    def _write(self, turns: list[Turn]) -> None:
        try:
            results = self._write_together(turns)
        except (OperationalError, PoolTimeout) as error:  # away: for all of them alike
            results = [error] * len(turns)
        except Exception as error:  # noqa: BLE001  (one cannot be stored: find out which)
            if len(turns) == 1:
                results = [error]
            else:
                for turn in turns:
                    self._write([turn])
                return
        for turn, result in zip(turns, results, strict=True):
            turn.result = result

    def _seal(self, submission: Submission) -> dict[str, Any]:
        """The request as JSON, what is sensitive in it encrypted."""
        request = submission.message.model_dump(mode="json")
        names = list_sealed(submission.task.request)
        if names and any(request[name] is not None for name in names):
            key = self._keyring.key(submission.tenant)
            request = seal_fields(key, submission.job_id, request, names)
        return request

    def _write_together(self, turns: Iterable[Turn]) -> list[Recorded | Exception]:
        with self._sessions.begin() as session:
            transaction = Transaction(session, session.scalar(NOW) or 0.0)
            results = [_record(transaction, turn) for turn in turns]
            if transaction.new_jobs:
                session.connection().execute(INSERT_JOBS, list(transaction.new_jobs.values()))
        self._blobs.discard(transaction.unused_objects)
        return results


def _record(transaction: Transaction, turn: Turn) -> Recorded | Exception:
    """Refusals come before the writes of a submission, so they need no undoing."""
    submission = turn.submission
    session = transaction.session
    keep = submission.deadline + submission.ttl
    for upload in submission.uploads:
        transaction.unused_objects += record_upload(session, upload, keep)
    stored = {upload.info.id for upload in submission.uploads}
    named = {blob_id for _, _, blob_id in submission.task.list_blobs(submission.message)}
    others = named - stored
    if others and prolong(session, submission.tenant, others, keep) != len(others):
        return Problem(422, "unknown-blob", "A file expired just now. Upload it again.")
    try:
        known = _claim_key(transaction, submission)
    except Problem as refusal:
        return refusal
    if known is not None:
        return Recorded(known, created=False)
    row = _make_row(turn, transaction.now)
    transaction.new_jobs[submission.job_id] = row
    return Recorded(Job(**row), created=True)


def _claim_key(transaction: Transaction, submission: Submission) -> Job | None:
    """Take the idempotency key for this job; the earlier job if it is taken already."""
    session = transaction.session
    if submission.key is None:
        return None
    taken = session.execute(
        insert_into(session, IdempotencyKey)
        .values(
            tenant=submission.tenant,
            key=submission.key,
            fingerprint=submission.fingerprint,
            job_id=submission.job_id,
        )
        .on_conflict_do_nothing()
        .returning(IdempotencyKey.job_id)
    ).first()
    if taken:
        return None
    earlier = session.get(IdempotencyKey, (submission.tenant, submission.key))
    if earlier is None:
        raise Problem(503, "expired-just-now", "The job of this key expired just now. Try again.")
    if earlier.fingerprint != submission.fingerprint:
        raise Problem(
            422,
            "idempotency-key-reused",
            "This Idempotency-Key was used for another request. Use a new key for a new request.",
        )
    row = transaction.new_jobs.get(earlier.job_id)  # of this transaction, or long stored
    return Job(**row) if row else session.get_one(Job, earlier.job_id)


def _make_row(turn: Turn, now: float) -> dict[str, Any]:
    submission = turn.submission
    return {
        "id": submission.job_id,
        "tenant": submission.tenant,
        "task": submission.task.name,
        "state": State.QUEUED,
        "priority": submission.priority,
        "request": turn.request,
        "fence": 0,
        "failures": 0,
        "cancel_requested": False,
        "created_at": now,
        "deadline_at": now + submission.deadline,
        "ttl": submission.ttl,
        "key_id": submission.key_id,
    }
