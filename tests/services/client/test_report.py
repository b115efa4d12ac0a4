"""The rows of a batch on a terminal."""

import sys
from io import StringIO
from pathlib import Path

import pytest
from rich.text import Text

from services.client.batch import Outcome
from services.client.report import TOOK_WIDTH, Report

FILES = "found/a-street-by-day-mask.png, found/a-street-by-day-overlay.jpg"


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def show(
    monkeypatch: pytest.MonkeyPatch, width: int, columns: tuple[str, ...], cells: str
) -> list[str]:
    """The lines on a terminal of so many characters."""
    terminal = Terminal()
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr(sys, "stdout", terminal)
    outcome = Outcome(Path("photos", "x" * 50, "street.jpg"), None, None, "", 1.25)
    with Report(1, "segment", lambda _: cells, columns=columns) as report:
        report.add(outcome)
    return [Text.from_ansi(line).plain for line in terminal.getvalue().splitlines()]


@pytest.mark.parametrize("width", [80, 100, 200])
def test_columns_have_their_names_and_no_file_is_cut_off(
    monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    cells = f"Sky 50.0%\tfcn-8s\t{FILES}"
    head, *rows = show(monkeypatch, width, ("shows", "model", "saved"), cells)
    assert head.split() == ["photo", "shows", "model", "saved", "took"]
    assert rows[0].split()[0] == "…xxxxxxxx/street.jpg"
    start, end = head.index("saved"), width - TOOK_WIDTH
    saved = "".join(row[start:end] for row in rows)
    assert saved.replace(" ", "") == FILES.replace(" ", "")
    assert all(len(row) <= width for row in rows)


def test_a_single_column_leaves_the_photo_more_room(monkeypatch: pytest.MonkeyPatch) -> None:
    head, row = show(monkeypatch, 100, ("found",), "dog 0.91")
    assert head.split() == ["photo", "found", "took"]
    assert row.split() == [f"…{'x' * 28}/street.jpg", "dog", "0.91", "1.25", "s"]
