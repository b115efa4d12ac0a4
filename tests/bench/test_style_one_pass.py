"""One pass is compared with the whole time of an optimisation."""

from typing import Any

import pytest

from bench.style_one_pass import COLUMNS, judge, summarise


def make_row(way: str, seconds: float) -> dict[str, Any]:
    return {"way": way, "width": 450, "height": 300, "steps": 1, "cpu s": seconds}


def test_both_are_told_in_passes_of_the_network() -> None:
    rows = summarise([make_row("quick", 60), make_row("stained-glass", 0.4)])
    assert all(set(row) == set(COLUMNS) for row in rows)
    assert [row["times one pass"] for row in rows] == pytest.approx([150, 1])
    assert judge(rows)[0].startswith("met: one pass is 150 times as fast")


def test_less_than_a_hundred_times_is_missed() -> None:
    rows = summarise([make_row("quick", 39), make_row("stained-glass", 0.4)])
    assert judge(rows)[0].startswith("MISSED: one pass is 98 times")
