"""Redis is a wake-up call: without it, submits are accepted, and the work waits."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.chaos.checker import check
from tests.chaos.client import open_client, percentile
from tests.chaos.conftest import FULL
from tests.chaos.run import show_latency
from tests.e2e.stack import Site, run_site, send

SECONDS = 60 if FULL else 5
RATE = 20  # submits per second


@contextmanager
def down(site: Site) -> Iterator[None]:
    """Nobody listens: connections are refused."""
    site.stack.stop_program("valkey")
    try:
        yield
    finally:
        site.stack.start_program("valkey")


@contextmanager
def frozen(site: Site) -> Iterator[None]:
    """Connections stand, and nothing answers."""
    pid = site.stack.pid("valkey")
    send(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        send(pid, signal.SIGCONT)


@pytest.mark.chaos
@pytest.mark.alone
@pytest.mark.timeout(600)
@pytest.mark.parametrize("trouble", [down, frozen])
def test_every_submit_is_accepted_and_finishes_later(
    tmp_path: Path,
    database_url: str,
    trouble: Callable[[Site], Iterator[None]],
):
    log = tmp_path / "client.jsonl"
    jobs = [("echo.count", {"number": number}) for number in range(SECONDS * RATE)]
    with run_site(tmp_path / "home", database_url=database_url) as site:
        with open_client(site.stack.address, site.stack.api_key, log) as client:
            client.submit_all(jobs[:RATE], RATE)
            client.latencies.clear()
            with trouble(site):  # type: ignore[attr-defined]
                client.submit_all(jobs, RATE)
            back = time.monotonic()
            site.drain()
            drained = time.monotonic() - back
        found = check(log, site.database)
    print(
        f"Redis {trouble.__name__} for {SECONDS} s: {client.answers.count(202)} of"
        f" {len(client.answers)} submits answered 202, p50 / p99"
        f" {show_latency(client.latencies)} ms; all finished {drained:.1f} s after it was back"
    )
    assert set(client.answers) == {202}
    assert percentile(client.latencies, 0.99) < (0.5 if trouble is down else 5.0)  # seconds
    assert found.kept, found.faults
    assert found.states == {"succeeded": found.accepted}
    assert drained < 30
