"""Counts the jobs that wait, in the database, where the truth about them is."""

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from shared.db import open_db
from shared.tables import QUEUED, Job


def count_queued(url: str) -> dict[str, int] | None:
    """Worker -> waiting jobs; None if the database does not answer."""
    sessions = open_db(url, pool_size=1)
    totals: dict[str, int] = {}
    try:
        with sessions.read() as session:
            counted = select(Job.task, func.count()).where(QUEUED).group_by(Job.task)
            for task, count in session.execute(counted):
                worker = task.split(".")[0]
                totals[worker] = totals.get(worker, 0) + count
    except SQLAlchemyError:
        return None
    finally:
        sessions.engine.dispose()
    return totals
