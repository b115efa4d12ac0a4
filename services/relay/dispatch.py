"""Keeps a small window of announced jobs per task, fair between tenants."""

import secrets
from collections.abc import Mapping, Sequence

import structlog
from celery import Celery
from kombu.exceptions import OperationalError as BrokerError
from redis import Redis
from sqlalchemy import Select, bindparam, func, select, update
from sqlalchemy.orm import Session

from shared.contract import Task
from shared.db import Sessions, db_now
from shared.jobs import store
from shared.liveness import count_workers
from shared.queue import queue_key
from shared.settings import Settings
from shared.tables import ANNOUNCED, RUNNING, WAITING, Broker, Job

log = structlog.get_logger()

EPOCH_KEY = "atelier:epoch"
ANNOUNCE_AT_ONCE = 1000  # jobs per statement: databases limit its parameters

Candidate = tuple[int, str]  # priority, job id


def choose_fairly(
    waiting: Mapping[str, Sequence[Candidate]], in_flight: Mapping[str, int], free: int
) -> list[str]:
    """The next `free` job ids: tenants take turns, and priority orders a tenant's own jobs.

    A tenant's next job has the turn of all it already has in flight, so a tenant that floods
    the queue waits for the others, not they for it. `waiting` is sorted within each tenant.
    """
    turns = [
        (in_flight.get(tenant, 0) + place, priority, job_id)
        for tenant, candidates in waiting.items()
        for place, (priority, job_id) in enumerate(candidates)
    ]
    return [job_id for _, _, job_id in sorted(turns)[:free]]


class Dispatcher:
    """Announces waiting jobs by sending Celery messages that carry nothing but a task's name."""

    def __init__(
        self, settings: Settings, sessions: Sessions, celery: Celery, redis: Redis
    ) -> None:
        self.settings, self.sessions = settings, sessions
        self.celery, self.redis = celery, redis
        self.full: dict[str, bool] = {}  # whether more may wait than the task's window holds
        self._processes: dict[str, int] = {}  # live worker processes per queue

    def fill(self, task: Task) -> int:
        """Announce as many waiting jobs of the task as its window has room for; how many."""
        with self.sessions.read() as session:
            announced = _count_by_tenant(session, COUNT_ANNOUNCED, task)
            free = min(self._window(task) - sum(announced.values()), ANNOUNCE_AT_ONCE)
            chosen = _choose(session, task, announced, free) if free > 0 else []
        self.full[task.name] = len(chosen) >= free
        if not chosen:
            return 0
        with self.sessions.begin() as session:
            marked = store.announce(session, chosen)
        self._send(task, len(marked))
        return len(marked)

    def resend_stale(self, task: Task) -> int:
        """Send messages again for jobs that were announced long ago while the queue is empty."""
        with self.sessions.read() as session:
            stale = session.scalar(
                select(func.count())
                .select_from(Job)
                .where(
                    ANNOUNCED,
                    Job.task == task.name,
                    Job.dispatched_at < db_now() - self.settings.resend_after,
                )
            )
        if not stale or self.redis.llen(queue_key(task.queue)):
            return 0
        log.info("messages sent again", task=task.name, jobs=stale)
        self._send(task, stale)
        return stale

    def check_epoch(self) -> bool:
        """Notice that Redis lost its data, and forget what was announced there. True if so."""
        self.redis.set(EPOCH_KEY, secrets.token_hex(16), nx=True)
        epoch = self.redis.get(EPOCH_KEY)
        with self.sessions.read() as session:
            known = session.scalar(select(Broker.epoch))
        if known == epoch:
            return False
        with self.sessions.begin() as session:
            if known is None:
                session.add(Broker(id=1, epoch=str(epoch)))
            else:
                session.execute(update(Broker).values(epoch=str(epoch)))
            store.forget_announcements(session)
        log.warning("the broker is new or lost its data; every queued job is announced again")
        return True

    def count_processes(self) -> None:
        """Look up how many worker processes serve each queue."""
        with self.sessions.read() as session:
            self._processes = count_workers(session, self.settings.heartbeat)

    def _window(self, task: Task) -> int:
        processes = max(1, self._processes.get(task.queue, 1))
        return self.settings.window_batches * processes * task.max_batch

    def _send(self, task: Task, jobs: int) -> None:
        """One message per batch; a failure only delays, for `resend_stale` follows."""
        try:
            for _ in range(0, jobs, task.max_batch):
                self.celery.send_task(task.name, queue=task.queue)
        except BrokerError as error:
            log.warning("messages not sent", task=task.name, error=str(error))


def _choose(session: Session, task: Task, announced: Mapping[str, int], free: int) -> list[str]:
    waiting = {
        tenant: _list_waiting(session, task, tenant, free)
        for tenant in _find_waiting_tenants(session, task)
    }
    if len(waiting) < 2:  # nobody to be fair to
        return choose_fairly(waiting, {}, free)
    running = _count_by_tenant(session, COUNT_RUNNING, task)
    in_flight = {
        tenant: announced.get(tenant, 0) + running.get(tenant, 0)
        for tenant in announced.keys() | running.keys()
    }
    return choose_fairly(waiting, in_flight, free)


# Built once: making a statement costs more than running it.
OF_TASK = Job.task == bindparam("wanted")
COUNT_ANNOUNCED, COUNT_RUNNING = (
    select(Job.tenant, func.count()).where(where, OF_TASK).group_by(Job.tenant)
    for where in (ANNOUNCED, RUNNING)
)
NEXT_TENANT = (
    select(Job.tenant)
    .where(WAITING, OF_TASK, Job.tenant > bindparam("after"))
    .order_by(Job.tenant)
    .limit(1)
)
WAITING_JOBS = (
    select(Job.priority, Job.id)
    .where(WAITING, OF_TASK, Job.tenant == bindparam("owner"))
    .order_by(Job.priority, Job.id)
    .limit(bindparam("size"))
)


def _count_by_tenant(session: Session, count: Select[str, int], task: Task) -> dict[str, int]:
    return {row[0]: row[1] for row in session.execute(count, {"wanted": task.name})}


def _find_waiting_tenants(session: Session, task: Task) -> list[str]:
    """One index seek per tenant, however many jobs wait."""
    tenants: list[str] = []
    after = ""
    while tenant := session.scalar(NEXT_TENANT, {"wanted": task.name, "after": after}):
        tenants.append(tenant)
        after = tenant
    return tenants


def _list_waiting(session: Session, task: Task, tenant: str, limit: int) -> list[Candidate]:
    wanted = {"wanted": task.name, "owner": tenant, "size": limit}
    return [(priority, job_id) for priority, job_id in session.execute(WAITING_JOBS, wanted)]
