"""A training whose process is killed goes on from its checkpoint, and ends once."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chaos.training import TRAININGS, Training, interrupt


@pytest.mark.chaos
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("training", TRAININGS, ids=lambda one: one.worker)
@pytest.mark.parametrize(("kind", "victim"), [("sqlite", "main"), ("postgres", "child")])
def test_a_killed_training_goes_on_from_its_checkpoint_and_ends_once(
    kind: str,
    victim: str,
    training: Training,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    show: Callable[[object], None],
):
    url = "" if kind == "sqlite" else request.getfixturevalue("empty_postgres_url")
    found = interrupt(training, tmp_path / "home", victim, url)
    show(f"{training.worker}, {kind}, {victim}: saved {found.saved}, went on in {found.resumed}")
    assert found.job["state"] == "succeeded", found.job["error"]
    assert 0 < found.saved < training.epochs
    assert found.saved <= found.resumed <= training.epochs
    assert "checkpoint not used" not in found.log
    assert found.job["result"]["epochs"] == training.epochs
    assert found.claims == 2
    assert found.losses == 1
    assert found.events.count("succeeded") == 1
    assert found.events[-1] == "succeeded"
    assert not {"failed", "cancelled"} & set(found.events)
    assert found.models == [("chaos", 1)]
    assert found.job["result"]["model"] == "chaos@1"
    assert found.left == []
