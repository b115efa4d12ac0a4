"""Where a long job keeps what it needs to go on after its process was killed."""

import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import structlog
from sqlalchemy import event, select
from sqlalchemy.orm import Session
from torch import Tensor

from shared.db import Sessions
from shared.settings import Settings
from shared.tables import Job
from workers.runtime.run import JobError, Run
from workers.runtime.tensors import read_parts

log = structlog.get_logger()

CHECKPOINT = "checkpoint.safetensors"  # in the folder of its job

T = TypeVar("T")


class UnusableCheckpoint(ValueError):
    """It is damaged, or of another training."""


def open_checkpoints(settings: Settings, sessions: Sessions, job_id: str) -> Path:
    """The folder of this job; those of jobs that have ended go.

    A cancelled or late job's so goes when the next training begins; that of a job which is in the
    database no more, once it is older than any deadline.
    """
    checkpoints = settings.home.resolve() / "checkpoints"
    (checkpoints / job_id).mkdir(parents=True, exist_ok=True)
    others = [folder for folder in checkpoints.iterdir() if folder.name != job_id]
    ended = _find_ended(sessions, [folder.name for folder in others])
    for folder in others:
        with suppress(FileNotFoundError):  # another process may be at it
            old = time.time() - folder.stat().st_mtime > settings.max_deadline
            if old or folder.name in ended:
                shutil.rmtree(folder, ignore_errors=True)
    return checkpoints / job_id


def _find_ended(sessions: Sessions, job_ids: Sequence[str]) -> set[str]:
    with sessions.read() as session:
        ended = select(Job.id).where(Job.id.in_(job_ids), Job.finished_at.is_not(None))
        return set(session.scalars(ended))


def read_checkpoint(
    path: Path, origin: dict[str, Any]
) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    """(tensors by part, what they are). Raises UnusableCheckpoint, also for another `origin`."""
    try:
        parts, about = read_parts(path)
    except ValueError as error:
        raise UnusableCheckpoint(str(error)) from error
    if about["origin"] != origin:
        raise UnusableCheckpoint(f"{path} is of a training with other options or data.")
    return parts, about


def learn_on(run: Run[Any], folder: Path, learn: Callable[[], T]) -> T:
    """What `learn` learns, from the start if it cannot use the checkpoint in the folder.

    The folder is removed once the outcome is committed, for until then the job may be claimed
    again; at once if `learn` raises a JobError.
    """
    try:
        learned = _learn_afresh_if_need_be(folder, learn)
    except JobError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    drop_checkpoints(run, folder)
    return learned


def _learn_afresh_if_need_be(folder: Path, learn: Callable[[], T]) -> T:
    try:
        return learn()
    except UnusableCheckpoint as error:
        log.warning("checkpoint not used, training starts again", error=str(error))
        (folder / CHECKPOINT).unlink()
        return learn()


def drop_checkpoints(run: Run[Any], folder: Path) -> None:
    """Remove the folder once the job's outcome is committed: until then it may be claimed again."""

    def drop_after_commit(session: Session) -> None:
        def drop(_: Session) -> None:
            shutil.rmtree(folder, ignore_errors=True)

        event.listen(session, "after_commit", drop, once=True)

    run.effects.append(drop_after_commit)
