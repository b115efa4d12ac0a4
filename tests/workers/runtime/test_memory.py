"""What there is of the memory, and what is refused."""

from pathlib import Path

import pytest

from workers.runtime import memory
from workers.runtime.memory import find_memory, refuse_beyond
from workers.runtime.run import TooLarge


def test_more_than_may_be_used_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memory, "find_memory", lambda: 4 * 2**30)
    refuse_beyond(3 * 2**30, "Painting", "less.")
    told = r"^Painting would take about 4\.0 GB of memory, more than the 3\.0 GB .*: less\.$"
    with pytest.raises(TooLarge, match=told):
        refuse_beyond(4 * 2**30, "Painting", "less.")


def test_a_container_may_have_less_than_the_machine(monkeypatch, tmp_path: Path):
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(memory, "CONTAINER", limit)
    machine = find_memory()
    limit.write_text("max\n")
    assert find_memory() == machine
    limit.write_text("1048576\n")
    assert find_memory() == 2**20
    limit.write_text(f"{2**60}\n")
    assert find_memory() == machine
