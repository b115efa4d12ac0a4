"""Kill workers as often as you like: what was enrolled is found, what was deleted is not."""

from pathlib import Path

import pytest

from tests.chaos.conftest import FULL
from tests.chaos.faces import shake

OPERATIONS = 10_000 if FULL else 500


@pytest.mark.chaos
@pytest.mark.timeout(3600 if FULL else 300)
def test_every_process_reads_what_was_written(tmp_path: Path):
    findings, figures = shake(tmp_path / "home", OPERATIONS, seed=1, gallery=100_000, every=3.0)
    print(figures)
    assert findings.missed == []
    assert findings.returned == []
    assert findings.unequal == []
    assert sum(findings.done.values()) > OPERATIONS
    assert len(findings.lost) < OPERATIONS / 20  # they failed with a reason, and told so
