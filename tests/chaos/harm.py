"""Kills processes on a schedule, while something else goes on."""

import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.e2e.stack import Site, send


class Killer:
    """SIGKILLs a worker process, main or child, every `every` seconds."""

    def __init__(self, site: Site, seed: int, every: float = 2.0) -> None:
        self.site, self.every = site, every
        self.random = random.Random(seed)
        self.kills: Counter[str] = Counter()
        self.errors: list[Exception] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._kill_on, name="killer")

    def kill_one(self) -> None:
        main = self.random.choice(self.site.mains)
        if self.random.random() < 0.5:
            self.kills["main"] += self.site.kill(main)
        elif children := self.site.children(main):
            self.kills["child"] += send(self.random.choice(children), signal.SIGKILL)

    def _kill_on(self) -> None:
        while not self._done.wait(self.every):
            try:
                self.kill_one()
            except Exception as error:  # noqa: BLE001  (told to the test when it ends)
                self.errors.append(error)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._done.set()
            self._thread.join()
        if self.errors:
            raise self.errors[0]


@contextmanager
def at_shares(
    total: int, count: Callable[[], int], actions: dict[float, Callable[[], object]]
) -> Iterator[None]:
    """Run each action once `count` has reached its share of `total`; all have run at the end."""
    done = threading.Event()
    errors: list[Exception] = []

    def watch() -> None:
        try:
            for share, act in sorted(actions.items()):
                while count() < share * total and not done.wait(0.05):
                    pass
                act()
        except Exception as error:  # noqa: BLE001  (told to the test when it ends)
            errors.append(error)

    thread = threading.Thread(target=watch, name="schedule")
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    if errors:
        raise errors[0]
