"""One Redis subscription for all requests of this process that wait for a job."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from redis.exceptions import RedisError

from shared.events import CHANNEL, TERMINAL_KINDS, connect

log = structlog.get_logger()

RECONNECT_AFTER = 0.5  # seconds


class Watcher:
    """Wakes its request when something happened to its job; never says what."""

    def __init__(self, end_only: bool) -> None:
        self.end_only = end_only
        self._woken = threading.Event()

    def wake(self) -> None:
        self._woken.set()

    def wait(self, seconds: float) -> bool:
        """True if woken in time; then it is ready to wait again."""
        woken = self._woken.wait(seconds)
        self._woken.clear()
        return woken


class Hub:
    """Routes wake-ups from Redis to watchers. Wake-ups can be lost: watchers look again anyway."""

    def __init__(self, redis_url: str) -> None:
        self._url = redis_url
        self._watchers: dict[str, set[Watcher]] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()
        self.connected = False

    @property
    def patience(self) -> float:
        """Seconds after which a watcher should look for itself."""
        return 15.0 if self.connected else 1.0

    @contextmanager
    def watch(self, job_id: str, end_only: bool = False) -> Iterator[Watcher]:
        """A watcher that wakes on every event of the job, or on its end only."""
        watcher = Watcher(end_only)
        with self._lock:
            self._watchers.setdefault(job_id, set()).add(watcher)
            if self._thread is None:  # not at import: a thread does not survive a fork
                self._thread = threading.Thread(target=self._listen, name="hub", daemon=True)
                self._thread.start()
        try:
            yield watcher
        finally:
            with self._lock:
                watchers = self._watchers[job_id]
                watchers.discard(watcher)
                if not watchers:
                    del self._watchers[job_id]

    def close(self) -> None:
        self._closed.set()
        if self._thread:
            self._thread.join(timeout=3)

    def _listen(self) -> None:
        while not self._closed.is_set():
            try:
                self._follow_channel()
            except RedisError as error:
                self.connected = False
                log.warning("no wake-ups from the broker", error=str(error))
                time.sleep(RECONNECT_AFTER)

    def _follow_channel(self) -> None:
        redis = connect(self._url, timeout=5.0)
        with redis, redis.pubsub(ignore_subscribe_messages=True) as channel:  # type: ignore[no-untyped-call]
            channel.subscribe(CHANNEL)
            self.connected = True
            self._wake_all()  # whatever happened while nobody listened
            while not self._closed.is_set():
                message = channel.get_message(timeout=1.0)
                if message:
                    job_id, _, kind = str(message["data"]).partition(" ")
                    self._wake(job_id, ended=kind in TERMINAL_KINDS)

    def _wake(self, job_id: str, ended: bool) -> None:
        with self._lock:
            for watcher in self._watchers.get(job_id, ()):
                if ended or not watcher.end_only:
                    watcher.wake()

    def _wake_all(self) -> None:
        with self._lock:
            for watchers in self._watchers.values():
                for watcher in watchers:
                    watcher.wake()
