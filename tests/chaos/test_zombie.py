"""A worker that comes back from a long sleep finds its jobs in other hands, and writes nothing."""

import signal
import time
from pathlib import Path

import pytest

from tests.chaos.checker import check
from tests.chaos.client import Request, open_client
from tests.chaos.conftest import FULL
from tests.e2e.stack import Site, run_site, send, wait_for
from tests.plain_sql import run_sql

ROUNDS = 10 if FULL else 2
JOBS = 64  # a round: a batch for each of two workers


def count(site: Site, state: str) -> int:
    return int(run_sql(site.database, f"SELECT count(*) FROM jobs WHERE state = '{state}'")[0][0])


def sleep_past_leases(site: Site) -> bool:
    """Stop every worker process until all it held is taken back, then let them all go on.

    False if one was stopped while it held the database's lock, so that nobody could do anything.
    """
    stopped = [pid for main in site.mains for pid in site.children(main)]
    for pid in stopped:
        send(pid, signal.SIGSTOP)
    try:
        wait_for(lambda: count(site, "running") == 0, "the sweeper", patience=8)
    except AssertionError:
        return False
    finally:
        for pid in stopped:
            send(pid, signal.SIGCONT)
    return True


@pytest.mark.chaos
@pytest.mark.timeout(600)
def test_a_worker_that_was_stopped_past_its_lease_writes_nothing(tmp_path: Path, database_url: str):
    log = tmp_path / "client.jsonl"
    done = 0
    with run_site(tmp_path / "home", mains=2, database_url=database_url) as site:
        with open_client(site.stack.address, site.stack.api_key, log) as client:
            while done < ROUNDS:
                client.submit_all(count_slowly(JOBS), rate=1000)
                wait_for(lambda: count(site, "running") > 0, "a running job")
                done += sleep_past_leases(site)
                site.drain()
                client.look_at_all()
            time.sleep(3)  # whatever still wants to be written
        discarded = sum(site.read_log(main).count("late outcome discarded") for main in site.mains)
        found = check(log, site.database)
    print(f"{done} times all workers slept past their leases: {discarded} late outcomes discarded")
    assert discarded > 0
    assert found.kept, found.faults
    assert found.states == {"succeeded": found.accepted}


def count_slowly(jobs: int) -> list[Request]:
    """A batch of 32 takes over a second, and does not look up while it works."""
    return [("echo.count", {"number": number, "seconds": 0.04}) for number in range(jobs)]
