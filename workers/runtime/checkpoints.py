"""Where a long job keeps what it needs to go on after its process was killed."""

import shutil
import time
from contextlib import suppress
from pathlib import Path

from shared.settings import Settings


def open_checkpoints(settings: Settings, job_id: str) -> Path:
    """The folder of this job; those of jobs that cannot be claimed again any more go."""
    checkpoints = settings.home.resolve() / "checkpoints"
    (checkpoints / job_id).mkdir(parents=True, exist_ok=True)
    for folder in checkpoints.iterdir():
        with suppress(FileNotFoundError):  # another process may be at it
            if time.time() - folder.stat().st_mtime > settings.max_deadline:
                shutil.rmtree(folder, ignore_errors=True)
    return checkpoints / job_id
