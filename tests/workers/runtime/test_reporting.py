"""How often the followers of a long job get a picture."""

import time
from typing import Any

import pytest

from shared.contract import Message
from shared.identifiers import new_id
from workers.runtime.reporting import Reporter
from workers.runtime.run import Cancelled, InvalidInput, Run


class Asked(Message):
    """Nothing in particular."""


class Followers:
    """What they get, by a clock of their own."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.events: list[dict[str, Any]] = []
        self.pictures: list[bytes] = []
        self.leave = False

    def read_clock(self) -> float:
        return self.now

    def save(self, content: bytes) -> str:
        self.pictures.append(content)
        return f"picture {len(self.pictures)}"

    def refuse(self, blob_id: str) -> bytes:
        raise InvalidInput(f"There is no file {blob_id}.")

    def run(self) -> Run[Asked]:
        return Run(
            job_id=new_id(),
            tenant=new_id(),
            request=Asked(),
            read=self.refuse,
            save=self.save,
            report=self.events.append,
            tell=self.events.extend,
            stop_requested=lambda: self.leave,
            settle=print,
        )


@pytest.fixture
def followers(monkeypatch: pytest.MonkeyPatch) -> Followers:
    made = Followers()
    monkeypatch.setattr(time, "monotonic", made.read_clock)
    return made


def follow(followers: Followers, reporter: Reporter, seconds: int, drawing: float = 0.0) -> int:
    """Report every second for so long; how many pictures that gave."""

    def draw() -> bytes:
        followers.now += drawing
        return b"picture"

    before = len(followers.pictures)
    for _ in range(seconds):
        reporter.report(0.5, "on its way", draw)
        followers.now += 1
    return len(followers.pictures) - before


def test_the_first_report_has_a_picture_and_then_one_every_five_seconds(followers: Followers):
    assert follow(followers, Reporter(followers.run()), 20) == 4
    previews = [event["preview"] for event in followers.events]
    assert previews[:6] == ["picture 1", None, None, None, None, "picture 2"]


def test_drawing_takes_little_of_the_time(followers: Followers):
    assert follow(followers, Reporter(followers.run()), 200, drawing=1.0) == 4  # 50 s in between


def test_a_long_training_is_not_drawn_more_often_than_a_short_one_by_much(followers: Followers):
    reporter = Reporter(followers.run())
    hour = follow(followers, reporter, 3600)
    day = hour + follow(followers, reporter, 23 * 3600)
    assert hour < 320
    assert day - hour < 340  # every percent of the time so far: 317 times from 1 to 24 hours
    assert day - hour > 280


def test_a_picture_is_drawn_before_its_time_if_that_is_asked(followers: Followers):
    reporter = Reporter(followers.run())
    for now in (False, False, True, True, False):
        reporter.report(0.5, "on its way", lambda: b"picture", now=now)
    previews = [event["preview"] for event in followers.events]
    assert previews == ["picture 1", None, "picture 2", "picture 3", None]
    reporter.report(0.5, "on its way", None, now=True)
    assert followers.events[-1]["preview"] is None


def test_nothing_is_drawn_while_there_is_nothing_to_draw(followers: Followers):
    Reporter(followers.run()).report(0.0, "reading", None)
    assert followers.events == [{"fraction": 0.0, "step": "reading", "preview": None}]


def test_who_leaves_stops_the_training_at_its_next_report(followers: Followers):
    reporter = Reporter(followers.run())
    followers.leave = True
    with pytest.raises(Cancelled):
        reporter.report(0.5, "on its way", None)
    with pytest.raises(Cancelled):
        reporter.measure()


def test_pictures_are_counted_twice_a_second(followers: Followers):
    reporter = Reporter(followers.run())
    for done in range(100):
        reporter.prepare(done, 100)
        followers.now += 0.1
    steps = [event["step"] for event in followers.events]
    assert steps[:2] == ["preparing picture 1 of 100", "preparing picture 6 of 100"]
    assert len(steps) == 20


def test_a_long_measurement_is_told_twice_a_second(followers: Followers):
    reporter = Reporter(followers.run())
    for _ in range(100):
        reporter.measure()
        followers.now += 0.1
    assert [event["step"] for event in followers.events] == ["measuring"] * 20
