"""A long job whose process is killed goes on from its checkpoint, and ends once."""

from itertools import product
from pathlib import Path

import pytest

from tests.chaos.conftest import FULL
from tests.chaos.training import JOBS, Job, interrupt

PLACES = [("sqlite", "main"), ("postgres", "child")]  # which database, and who is killed
TURNS = [(job, PLACES[number % 2]) for number, job in enumerate(JOBS)]
CASES = [
    pytest.param(job, *place, id="-".join([job.task, *place]))
    for job, place in (product(JOBS, PLACES) if FULL else TURNS)
]


@pytest.mark.chaos
@pytest.mark.timeout(800)
@pytest.mark.parametrize(("job", "kind", "victim"), CASES)
def test_a_killed_job_goes_on_from_its_checkpoint_and_ends_once(
    job: Job,
    kind: str,
    victim: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
):
    url = "" if kind == "sqlite" else request.getfixturevalue("empty_postgres_url")
    found = interrupt(job, tmp_path / "home", victim, url)
    print(f"{job.task}, {kind}, {victim}: saved {found.saved}, went on in {found.resumed}")
    assert found.job["state"] == "succeeded", found.job["error"]
    assert 0 < found.saved < job.count
    assert found.saved <= found.resumed <= job.count
    assert "checkpoint not used" not in found.log
    assert found.job["result"][f"{job.unit}s"] == job.count
    assert found.claims == 2
    assert found.losses == 1
    assert found.events.count("succeeded") == 1
    assert found.events[-1] == "succeeded"
    assert not {"failed", "cancelled"} & set(found.events)
    assert found.models == ([("chaos", 1)] if job.makes_model else [])
    assert found.left == []
    if job.makes_model:
        assert found.job["result"]["model"] == "chaos@1"
