"""Kill workers and the broker as often as you like: a 202 is exactly one recorded outcome."""

from pathlib import Path

import pytest

from tests.chaos.conftest import FULL
from tests.chaos.run import Load, kill_under_load

LOAD = Load(10_000, rate=100, work=0.01) if FULL else Load(1_000, rate=60, work=0.02)


@pytest.mark.chaos
@pytest.mark.timeout(1800 if FULL else 300)
def test_no_job_is_lost_or_done_twice(tmp_path: Path, database_url: str):
    figures = kill_under_load(tmp_path / "home", LOAD, seed=1, database_url=database_url)
    print(figures)
    found = figures.findings
    assert found.kept, found.faults
    assert found.accepted == sum(found.states.values()) == LOAD.jobs
    assert found.states["succeeded"] >= 0.99 * LOAD.jobs  # three kills in a row may end a job
    assert found.attempts > LOAD.jobs  # some were killed in the middle of it
