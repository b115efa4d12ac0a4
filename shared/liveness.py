"""Which processes are alive: a row for each worker process, a file for a health check."""

from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shared.db import db_now
from shared.tables import WorkerProcess

MISSED_BEATS = 3  # after so many without a word a process is not counted


def show_alive(home: Path, name: str) -> None:
    """Touch the file by which a process without an HTTP port shows that it works."""
    home.mkdir(parents=True, exist_ok=True)
    (home / f"{name}.alive").touch()


def count_workers(session: Session, heartbeat: float) -> dict[str, int]:
    """Queue -> live worker processes, which beat every `heartbeat` seconds."""
    alive = WorkerProcess.seen_at > db_now() - MISSED_BEATS * heartbeat
    rows = session.execute(
        select(WorkerProcess.queue, func.count()).where(alive).group_by(WorkerProcess.queue)
    )
    return {row[0]: row[1] for row in rows}
