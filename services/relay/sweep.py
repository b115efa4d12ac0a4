"""Takes back jobs whose worker went silent, and deletes what has expired."""

import structlog
from sqlalchemy import delete, select

from shared.blobs import Blobs
from shared.db import Sessions, db_now
from shared.events import Events, outcome_event
from shared.jobs import store
from shared.sealing import forget_fields
from shared.settings import Settings
from shared.tables import IdempotencyKey, Job, WorkerProcess

log = structlog.get_logger()

DELETE_AT_ONCE = 500  # rows per transaction, to keep each short
FORGET_WORKERS = 3600.0  # seconds


class Sweeper:
    def __init__(
        self, settings: Settings, sessions: Sessions, events: Events, blobs: Blobs
    ) -> None:
        self.settings, self.sessions = settings, sessions
        self.events, self.blobs = events, blobs

    def take_back(self) -> int:
        """End or requeue every job whose lease or deadline has passed; how many."""
        with self.sessions.begin() as session:
            moved = store.expire(session, self.settings.max_failures)
            moved += store.pass_deadline(session)
            forget_fields(session, [job.id for job in moved])
        for job in moved:
            log.info("job taken back", job=job.id, state=job.state, reason=job.error_code)
        self.events.publish(
            outcome_event(job.id, job.state, job.error_code, job.error_detail) for job in moved
        )
        return len(moved)

    def delete_expired(self) -> int:
        """Delete expired jobs with their idempotency keys, and expired files; how many."""
        with self.sessions.begin() as session:
            jobs = session.scalars(
                select(Job.id).where(Job.expires_at <= db_now()).limit(DELETE_AT_ONCE)
            ).all()
            session.execute(delete(IdempotencyKey).where(IdempotencyKey.job_id.in_(jobs)))
            session.execute(delete(Job).where(Job.id.in_(jobs)))
            session.execute(
                delete(WorkerProcess).where(WorkerProcess.seen_at < db_now() - FORGET_WORKERS)
            )
        return len(jobs) + self.blobs.remove_expired(DELETE_AT_ONCE)
