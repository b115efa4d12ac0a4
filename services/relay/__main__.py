"""Runs the relay: `python -m services.relay`. Any number may run at once."""

import signal
import threading
import time
from collections.abc import Iterable
from types import FrameType

import structlog
from obstore.exceptions import BaseError as StoreError
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from services.catalog import load_tasks
from services.relay.dispatch import Dispatcher
from services.relay.sweep import Sweeper
from shared.blobs import Blobs
from shared.contract import Task
from shared.db import open_db
from shared.events import NEW_JOBS, ROOM, Events, connect
from shared.liveness import show_alive
from shared.logs import configure_logs
from shared.queue import make_celery
from shared.settings import Settings, read_settings

log = structlog.get_logger()

IDLE = 0.5  # seconds; a submit wakes the relay sooner
CHECK_EVERY = 2.0  # seconds between looks at the broker's epoch and at stale messages
RETENTION_EVERY = 30.0


class Relay:
    def __init__(self, settings: Settings) -> None:
        sessions = open_db(settings.database, pool_size=2)
        redis = connect(settings.redis_url)
        self.tasks = load_tasks()
        self.settings = settings
        self.dispatcher = Dispatcher(settings, sessions, make_celery(settings), redis)
        blobs = Blobs(settings.blobs, sessions)
        self.sweeper = Sweeper(settings, sessions, Events(settings.redis_url), blobs)
        self.wakes = redis.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
        self.stopping = threading.Event()
        self._due: dict[str, float] = {}

    def run(self) -> None:
        while not self.stopping.is_set():
            try:
                self._clean()
                self._dispatch(self._wait())
            except RedisError as error:
                log.warning("the broker does not answer", error=str(error))
                self.stopping.wait(IDLE)
            except (StoreError, OSError) as error:
                log.warning("the file store does not answer", error=str(error))
                self.stopping.wait(IDLE)
            except SQLAlchemyError as error:
                log.warning("the database does not answer", error=str(error))
                self.stopping.wait(IDLE)

    def _wait(self) -> set[str]:
        """The tasks to announce jobs of; after an idle time, all of them."""
        if not self.wakes.subscribed:
            self.wakes.subscribe(NEW_JOBS, ROOM)
            return set(self.tasks)
        message = self.wakes.get_message(timeout=IDLE)
        if message is None:
            return set(self.tasks)
        woken = set()
        while message:
            task = str(message["data"])
            if message["channel"] == NEW_JOBS or self.dispatcher.full.get(task):
                woken.add(task)
            message = self.wakes.get_message(timeout=0)
        return woken

    def _clean(self) -> None:
        """What needs the database alone, and so goes on while the broker is away."""
        if self._is_due("sweep", self.settings.sweep_every):
            self.sweeper.take_back()
            show_alive(self.settings.home, "relay")
        if self._is_due("retention", RETENTION_EVERY) and self.sweeper.delete_expired():
            self._due["retention"] = 0.0  # more may have expired than one transaction deletes

    def _dispatch(self, names: Iterable[str]) -> None:
        if self._is_due("check", CHECK_EVERY):
            self.dispatcher.count_processes()
            names = set(self.tasks)
            if not self.dispatcher.check_epoch():
                for task in self.tasks.values():
                    self.dispatcher.resend_stale(task)
        for task in self._known(names):
            self.dispatcher.fill(task)

    def _known(self, names: Iterable[str]) -> list[Task]:
        return [self.tasks[name] for name in sorted(names) if name in self.tasks]

    def _is_due(self, what: str, every: float) -> bool:
        now = time.monotonic()
        if now < self._due.get(what, 0.0):
            return False
        self._due[what] = now + every
        return True


def main() -> None:
    settings = read_settings()
    configure_logs(settings.log_level)
    relay = Relay(settings)

    def stop(_signal: int, _frame: FrameType | None) -> None:
        relay.stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    relay.run()


if __name__ == "__main__":
    main()
