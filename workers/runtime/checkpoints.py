"""Where a long job keeps what it needs to go on after its process was killed."""

import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session

from shared.settings import Settings
from workers.runtime.run import Run


def open_checkpoints(settings: Settings, job_id: str) -> Path:
    """The folder of this job; those of jobs that cannot be claimed again any more go."""
    checkpoints = settings.home.resolve() / "checkpoints"
    (checkpoints / job_id).mkdir(parents=True, exist_ok=True)
    for folder in checkpoints.iterdir():
        with suppress(FileNotFoundError):  # another process may be at it
            if time.time() - folder.stat().st_mtime > settings.max_deadline:
                shutil.rmtree(folder, ignore_errors=True)
    return checkpoints / job_id


def drop_checkpoints(run: Run[Any], folder: Path) -> None:
    """Remove the folder once the job's outcome is committed: until then it may be claimed again."""

    def drop_after_commit(session: Session) -> None:
        def drop(_: Session) -> None:
            shutil.rmtree(folder, ignore_errors=True)

        event.listen(session, "after_commit", drop, once=True)

    run.effects.append(drop_after_commit)
