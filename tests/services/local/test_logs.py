"""Logs are read from their end, and followed across rotation."""

from itertools import islice
from pathlib import Path
from threading import Timer

from services.local.logs import find_logs, follow, read_last


def test_the_last_lines_are_read(tmp_path: Path):
    path = tmp_path / "x.log"
    path.write_text("".join(f"{number}\n" for number in range(100_000)))
    assert read_last(path, 2) == ["99998", "99999"]
    assert read_last(path, 0) == []


def test_a_log_that_is_not_there_is_empty(tmp_path: Path):
    assert read_last(tmp_path / "x.log", 5) == []


def test_logs_are_found_by_program_without_the_rotated_ones(tmp_path: Path):
    (tmp_path / "logs").mkdir()
    for name in ("relay.log", "relay.log.1", "gateway.log"):
        (tmp_path / "logs" / name).touch()
    assert list(find_logs(tmp_path)) == ["gateway", "relay"]


def test_following_loses_no_line_when_the_log_is_rotated(tmp_path: Path):
    path = tmp_path / "x.log"
    path.write_text("before\n")

    def rotate() -> None:
        with path.open("a") as file:
            file.write("old 1\nold 2\n")
        path.rename(tmp_path / "x.log.1")
        path.write_text("new 1\nnew ")
        with path.open("a") as file:
            file.write("2\n")

    timer = Timer(0.3, rotate)
    timer.start()
    lines = follow({"x": path})
    try:
        assert [line for _, line in islice(lines, 4)] == ["old 1", "old 2", "new 1", "new 2"]
    finally:
        lines.close()
        timer.join()
