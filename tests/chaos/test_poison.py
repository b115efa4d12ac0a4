"""Jobs that kill, hang or exhaust a worker fail by themselves, and cost the good ones nothing."""

import random
from pathlib import Path

import pytest

from tests.chaos.checker import check
from tests.chaos.client import Request, open_client
from tests.chaos.conftest import FULL
from tests.e2e.stack import run_site
from tests.plain_sql import run_sql

GOOD = 900 if FULL else 120
EACH = 20 if FULL else 2
PATIENCE = 1200 if FULL else 200  # seconds

POISONS = {
    "crash": {"worker_lost"},
    "segfault": {"worker_lost"},
    "hang": {"worker_lost", "time_limit"},  # by the sweeper, or by itself when it wakes in time
    "memory": {"too_large"},
    "raise": {"worker_error"},
}


def mix_jobs(seed: int) -> list[Request]:
    """Good jobs with poison among them, some in the same task and so in the same batch."""
    good: list[Request] = [("echo.count", {"number": number}) for number in range(GOOD * 2 // 3)]
    good += [("echo.act", {"act": "sleep", "seconds": 0.05})] * (GOOD // 3)
    bad: list[Request] = [
        ("echo.act", {"act": act, "seconds": 5.0}) for act in POISONS for _ in range(EACH)
    ]
    mixed = good + bad
    random.Random(seed).shuffle(mixed)
    return mixed


@pytest.mark.chaos
@pytest.mark.timeout(2 * PATIENCE)
def test_poison_fails_alone_and_within_three_attempts(tmp_path: Path, database_url: str):
    log = tmp_path / "client.jsonl"
    with run_site(tmp_path / "home", mains=2, database_url=database_url) as site:
        mains = [site.stack.pid(main) for main in site.mains]
        with open_client(site.stack.address, site.stack.api_key, log) as client:
            client.submit_all(mix_jobs(seed=1), rate=1000)
            site.drain(PATIENCE)
            client.look_at_all()
        assert [site.stack.pid(main) for main in site.mains] == mains  # none died of MemoryError
        jobs = run_sql(
            site.database,
            "SELECT CAST(request AS TEXT), state, error_code, failures, fence FROM jobs",
        )
        found = check(log, site.database)
    assert found.kept, found.faults
    for request, state, code, failures, fence in jobs:
        expected = next((POISONS[act] for act in POISONS if f'"{act}"' in request), None)
        assert code in expected if expected else state == "succeeded", (request, state, code)
        assert failures <= 3
        assert fence <= 4
    print(
        f"{found.states['succeeded']} good jobs succeeded, {found.states['failed']} poison failed"
    )
    assert found.states == {"succeeded": GOOD // 3 + GOOD * 2 // 3, "failed": EACH * len(POISONS)}
