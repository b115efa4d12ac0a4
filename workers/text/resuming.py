"""A training job that was killed goes on from its checkpoint, which goes with the outcome."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import structlog

from workers.runtime.checkpoints import drop_checkpoints
from workers.runtime.run import InvalidInput, Run
from workers.text.train import CHECKPOINT, UnusableCheckpoint

log = structlog.get_logger()

T = TypeVar("T")


def learn_on(run: Run[Any], folder: Path, learn: Callable[[], T]) -> T:
    """What `learn` learns, from the start if it cannot use the checkpoint in the folder.

    The folder is removed once the outcome is committed, for until then the job may be claimed
    again; at once if it is refused. Raises InvalidInput for what diverged or learned nothing.
    """
    try:
        learned = _learn_afresh_if_need_be(folder, learn)
    except InvalidInput:
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
