"""Lines of frames are told in small events as long as followers can take them."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.workers.detect.desk import Desk
from workers.detect import frame_lines
from workers.detect.frame_lines import MOST_TOLD, RATE, SAVED, FrameLines
from workers.detect.objects_contract import Box
from workers.detect.stream_contract import FrameView, StreamRequest


class Follower:
    """Sees the events of a job, at times of its own."""

    def __init__(self, desk: Desk, path: Path) -> None:
        self.events: list[list[dict[str, Any]]] = []
        self.now = 0.0
        self.path = path
        self.run = desk.make(StreamRequest(video="0" * 64))
        self.run.tell = self.events.append

    def open(self) -> FrameLines:
        return FrameLines(self.path, self.run)

    @property
    def sizes(self) -> list[int]:
        return [len(json.dumps(told)) for told in self.events]

    @property
    def told(self) -> list[int]:
        return [line["line"] for told in self.events for line in told]

    @property
    def written(self) -> list[int]:
        return [json.loads(line)["line"] for line in self.path.read_text().splitlines()]


@pytest.fixture
def follower(sqlite_desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Follower:
    follower = Follower(sqlite_desk, tmp_path / "frames.ndjson")
    monkeypatch.setattr("time.monotonic", lambda: follower.now)
    return follower


def see(line: int, boxes: int = 30, label: str = "raccoon") -> FrameView:
    box = Box(label=label, class_id=0, score=0.1234, xyxy=[100.25, 200.25, 300.25, 400.25])
    return FrameView(
        line=line, model="m", frame=line, seconds=1.0, width=8, height=6, boxes=[box] * boxes
    )


def test_crowded_frames_are_all_told_in_events_of_bounded_size(follower: Follower):
    """Thirty boxes a frame, ten frames a second."""
    with follower.open() as lines:
        for number in range(200):
            follower.now += 0.1
            lines.add(see(number))
            if number % 8 == 7:
                lines.tell()
        lines.flush()
    assert follower.told == list(range(200))
    assert max(follower.sizes) <= MOST_TOLD + 1000  # brackets and commas


def test_lines_without_room_in_an_event_begin_the_next(follower: Follower):
    with follower.open() as lines:
        for number in range(24):
            lines.add(see(number))
        lines.flush()
    assert follower.told == list(range(24))
    assert len(follower.events) > 1


def test_beyond_the_rate_lines_are_in_the_file_alone_until_there_is_room_again(follower: Follower):
    with follower.open() as lines:
        for number in range(1000):
            lines.add(see(number))
        lines.flush()
        assert RATE * SAVED - 10_000 < sum(follower.sizes) < RATE * SAVED + 10_000
        before = len(follower.told)
        assert 0 < before < 1000
        follower.now += 1.0
        lines.add(see(1000))
        lines.flush()
    assert follower.told == [*range(before), 1000]
    assert follower.written == list(range(1001))


def test_a_line_longer_than_an_event_is_in_the_file_alone(follower: Follower):
    with follower.open() as lines:
        for number, boxes in enumerate([1, 1000, 1]):
            lines.add(see(number, boxes))
        lines.flush()
    assert follower.told == [0, 2]
    assert follower.written == [0, 1, 2]


def test_events_are_measured_as_they_are_sent(follower: Follower):
    """In ASCII a letter of another script takes six bytes."""
    with follower.open() as lines:
        for number in range(20):
            lines.add(see(number, label="ж" * 100))
        lines.flush()
    assert follower.told == list(range(20))
    assert max(follower.sizes) <= MOST_TOLD + 1000


def test_events_are_at_most_four_a_second(follower: Follower):
    with follower.open() as lines:
        for number in range(20):
            follower.now += 0.05
            lines.add(see(number, boxes=1))
            lines.tell()
        lines.flush()
    assert follower.told == list(range(20))
    assert len(follower.events) <= 5


def test_it_is_full_at_its_longest(follower: Follower, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(frame_lines, "MOST_BYTES", 5000)
    with follower.open() as lines:
        lines.add(see(0))
        assert not lines.full
        lines.add(see(1))
        assert lines.full
