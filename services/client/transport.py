"""Sends requests until they are answered: retries, back-off, and one place for errors."""

import random
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from threading import Event
from typing import Any, TypeVar

import httpx2

from services.client.problems import ClientError, Problem, Stopped, Unreachable, raise_problem

T = TypeVar("T")

# A call gets its body from a function, because each attempt must read its files from the start.
Body = Callable[[ExitStack], dict[str, Any]]

BROKEN = (
    httpx2.TimeoutException,
    httpx2.NetworkError,
    httpx2.RemoteProtocolError,
    httpx2.ProxyError,
)
BUSY = (429, 502, 503, 504)
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0  # seconds
CONNECT, READ = 5.0, 30.0  # seconds


class Patience:
    """Pauses after each failure, longer each time, until failing has lasted `limit` seconds."""

    def __init__(self, address: str, limit: float, stopped: Event) -> None:
        self.address = address
        self.limit = limit
        self.stopped = stopped
        self.reset()

    def reset(self) -> None:
        self.failures = 0
        self.ends: float | None = None  # on the monotonic clock, set by the first failure

    def pause_after(self, error: Exception) -> None:
        """Sleep before the next attempt; raises if there should be none."""
        if isinstance(error, Problem) and error.status not in BUSY:
            raise error
        now = time.monotonic()
        if self.ends is None:
            self.ends = now + self.limit
        pause = self._next_pause(error)
        if now + pause > self.ends:
            raise self._give_up(error) from error
        if self.stopped.wait(pause):
            raise Stopped("The client was stopped.")

    def _next_pause(self, error: Exception) -> float:
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2**self.failures)
        self.failures += 1
        # Jitter, so that many clients that failed together do not return together.
        asked = error.retry_after if isinstance(error, Problem) else None
        return (asked or pause / 2) + random.uniform(0, pause / 2)

    def _give_up(self, error: Exception) -> ClientError:
        if isinstance(error, Problem):
            return error
        reason = str(error) or type(error).__name__
        return Unreachable(
            f"No answer from {self.address} ({reason}). "
            "Is it running? `atelier status` tells, `atelier up` starts it on this machine."
        )


class Transport:
    """One server and one key; every request must be safe to repeat. Used by many threads."""

    def __init__(self, address: str, key: str, timeout: float) -> None:
        self.address = address
        self.timeout = timeout  # seconds for which a failing call is repeated
        self.stopped = Event()
        self.http = httpx2.Client(
            base_url=address,
            headers={"Authorization": f"Bearer {key}"},
            timeout=httpx2.Timeout(READ, connect=CONNECT),
            limits=httpx2.Limits(max_connections=None),
            # The local stack is never behind the proxy the environment may name.
            mounts={"all://127.0.0.1": None, "all://localhost": None, "all://[::1]": None},
        )

    def patience(self, limit: float | None = None) -> Patience:
        return Patience(self.address, self.timeout if limit is None else limit, self.stopped)

    def retry(self, call: Callable[[], T], limit: float | None = None) -> T:
        """Call until it answers, for `limit` seconds; the client's timeout unless given."""
        patience = self.patience(limit)
        while True:
            try:
                return call()
            except (*BROKEN, Problem) as error:
                patience.pause_after(error)

    def send(
        self,
        method: str,
        path: str,
        body: Body | None = None,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        read: float = READ,  # seconds of silence before an attempt counts as failed
        limit: float | None = None,
    ) -> httpx2.Response:
        def attempt() -> httpx2.Response:
            with ExitStack() as files:
                response = self.http.request(
                    method,
                    path,
                    params=known(params),
                    headers=headers,
                    timeout=httpx2.Timeout(READ, connect=CONNECT, read=read),
                    **(body(files) if body else {}),
                )
            raise_problem(response)
            return response

        return self.retry(attempt, limit)

    def close(self) -> None:
        self.stopped.set()
        self.http.close()


def known(params: Mapping[str, Any] | None) -> dict[str, Any]:
    """The parameters that were given."""
    return {name: value for name, value in (params or {}).items() if value is not None}
