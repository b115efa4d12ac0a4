"""The checker finds every kind of fault that is planted, and nothing where there is none."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.checker import Findings, check
from tests.plain_sql import run_sql
from tests.rows import make_job


class Story:
    """A log and tables that agree, until a test changes one of them."""

    def __init__(self, folder: Path, database: str, add: Callable[..., None]) -> None:
        self.log, self.database, self.add = folder / "client.jsonl", database, add
        self.log.touch()

    def tell(self, **line: Any) -> None:
        with self.log.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def accept(self, job_id: str, **values: Any) -> None:
        self.tell(key=job_id, task="echo.count", status=202, id=job_id)
        finished = {"state": "succeeded", "result": {"number": 1}, "finished_at": 100.0}
        self.add(id=job_id, task="echo.count", request={"number": 1}, **{**finished, **values})

    def note(self, job_id: str, number: int = 1) -> None:
        run_sql(self.database, f"INSERT INTO echo_effects VALUES ('{job_id}', {number})")

    def check(self) -> Findings:
        return check(self.log, self.database)


@pytest.fixture
def story(tmp_path: Path, database_url: str, sessions: Any) -> Story:
    run_sql(database_url, "CREATE TABLE echo_effects (job varchar(32), number integer)")

    def add(**values: Any) -> None:
        with sessions.begin() as session:
            session.add(make_job(created_at=time.time(), **values))

    story = Story(tmp_path, database_url, add)
    story.accept("good")
    story.note("good")
    story.tell(id="good", state="succeeded", finished_at=100.0)
    story.accept("bad", state="failed", result=None, error_code="worker_lost")
    return story


def faults(story: Story) -> dict[str, list[str]]:
    return {name: ids for name, ids in story.check().faults.items() if ids}


def test_nothing_is_found_where_nothing_is_wrong(story: Story):
    found = story.check()
    assert found.kept
    assert found.accepted == 2
    assert found.states == {"succeeded": 1, "failed": 1}


def test_a_job_without_a_row_is_lost(story: Story):
    story.tell(key="k", task="echo.count", status=202, id="gone")
    assert faults(story) == {"lost": ["gone"]}


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_job_without_an_end_is_lost(story: Story, state: str):
    story.accept("slow", state=state, result=None, finished_at=None)
    assert faults(story) == {"lost": ["slow"], "no_single_outcome": ["slow"]}


def test_a_refused_submit_is_owed_nothing(story: Story):
    story.tell(key="k", task="echo.count", status=503)
    story.tell(key="k", task="echo.count", status="ConnectError()")
    assert story.check().kept


def test_one_key_for_two_jobs_is_found(story: Story):
    story.tell(key="good", task="echo.count", status=202, id="bad")
    assert faults(story) == {"twice_accepted": ["bad", "good"]}


@pytest.mark.parametrize(
    "values",
    [
        {"error_code": "worker_error"},
        {"result": None},
        {"state": "failed", "error_code": "x"},
        {"state": "cancelled"},
        {"finished_at": None},
    ],
)
def test_an_outcome_that_is_none_or_two_is_found(story: Story, values: dict[str, Any]):
    story.accept("odd", **values)
    story.note("odd")
    assert "odd" in story.check().no_single_outcome


def test_a_second_effect_is_found(story: Story):
    story.note("good")
    assert faults(story) == {"double_effects": ["good"]}


def test_a_missing_effect_is_found(story: Story):
    story.accept("dry")
    assert faults(story) == {"missing_effects": ["dry"]}


def test_an_effect_of_a_job_that_failed_is_a_late_write(story: Story):
    story.note("bad")
    assert faults(story) == {"late_writes": ["bad"]}


def test_an_outcome_that_changed_after_it_was_seen_is_a_late_write(story: Story):
    story.tell(id="bad", state="cancelled", finished_at=100.0)
    story.tell(id="good", state="succeeded", finished_at=90.0)
    assert faults(story) == {"late_writes": ["bad", "good"]}


def test_the_answer_to_another_request_is_found(story: Story):
    story.accept("mixed", result={"number": 2})
    story.note("mixed")
    assert faults(story) == {"wrong_results": ["mixed"]}


def test_the_effect_of_another_request_is_found(story: Story):
    story.accept("mixed")
    story.note("mixed", number=3)
    assert faults(story) == {"wrong_results": ["mixed"]}
