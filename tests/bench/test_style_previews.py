"""How soon previews come, and jobs stop, is judged by medians of the smallest and all sizes."""

from typing import Any

from bench.style_previews import judge, summarise


def make_cell(size: int, first: float, stop: float, kept: bool = True) -> dict[str, Any]:
    spent = {"first preview s": first, "cancelled s": stop}
    return {"size": size, **spent, "kept": kept, "preview bytes": 9}


def test_a_row_has_the_medians_of_its_size() -> None:
    cells = [make_cell(450, 9, 9), *(make_cell(256, first, 0.1) for first in (1.0, 7.0, 2.0))]
    rows = summarise(cells)
    assert [row["size"] for row in rows] == [256, 450]
    assert rows[0]["first preview s"] == 2


def test_one_job_that_kept_nothing_is_enough_to_fail() -> None:
    [row] = summarise([make_cell(256, 1, 1), make_cell(256, 1, 1, kept=False)])
    assert row["kept"] is False
    assert judge([row])[2].startswith("MISSED")


def test_the_first_preview_counts_at_the_smallest_size_and_the_stop_at_all() -> None:
    first, stop, kept, _ = judge([make_cell(256, 2.9, 0.2), make_cell(1024, 30, 2.5)])
    assert first == "met: the first preview comes after 2.90 s at 256 pixels; wanted 3"
    assert stop == "MISSED: a cancelled job has ended after 2.50 s; wanted 2"
    assert kept.startswith("met")
