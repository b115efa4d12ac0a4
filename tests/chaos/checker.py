"""Compares what a client was told with what is in the tables.

It knows nothing of the code under test: it reads the client's log, one JSON object a line, and the
tables by plain SQL. `python -m tests.chaos.checker LOG DATABASE_URL` prints what it finds.

A line of the log is an answer to a submit (`key`, `task`, `status`, and with 202 the `id`), or a
look at a job that had ended (`id`, `state`, `finished_at`).
"""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from tests.plain_sql import run_sql

ENDED = ("succeeded", "failed", "cancelled")
SAME_MOMENT = 0.002  # seconds; clients see times to the millisecond

JOBS = (
    "SELECT id, task, state, CAST(request AS TEXT), CAST(result AS TEXT), error_code,"
    " finished_at, failures, fence FROM jobs"
)
EFFECTS = "SELECT job, number FROM echo_effects"


@dataclass(frozen=True)
class Row:
    """A job as the table has it."""

    id: str
    task: str
    state: str
    request: str
    result: str | None
    error_code: str | None
    finished_at: float | None
    failures: int
    fence: int

    def has_one_outcome(self) -> bool:
        """A result or an error, one of them, and the time of the end."""
        if self.state not in ENDED or self.finished_at is None:
            return False
        outcome = (self.result is not None, self.error_code is not None)
        return (
            outcome
            == {
                "succeeded": (True, False),
                "failed": (False, True),
                "cancelled": (False, False),
            }[self.state]
        )


@dataclass
class Findings:
    """Each list names the jobs of one kind of fault; all of them empty is a promise kept."""

    accepted: int = 0
    states: Counter[str] = field(default_factory=Counter)
    attempts: int = 0
    lost: list[str] = field(default_factory=list)  # 202, and no row or no end
    twice_accepted: list[str] = field(default_factory=list)  # one key, two jobs
    no_single_outcome: list[str] = field(default_factory=list)
    double_effects: list[str] = field(default_factory=list)
    missing_effects: list[str] = field(default_factory=list)
    late_writes: list[str] = field(default_factory=list)  # what had ended changed, or had effects
    wrong_results: list[str] = field(default_factory=list)  # the answer to another request

    @property
    def faults(self) -> dict[str, list[str]]:
        named = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: found for name, found in named.items() if isinstance(found, list)}

    @property
    def kept(self) -> bool:
        return not any(self.faults.values())

    def table(self) -> list[tuple[str, Any]]:
        counts = [(name.replace("_", " "), len(found)) for name, found in self.faults.items()]
        states = [(f"outcome {state}", count) for state, count in sorted(self.states.items())]
        return [("accepted (202)", self.accepted), *states, ("attempts", self.attempts), *counts]


def check(log: Path, database: str) -> Findings:
    """Compare the log with the tables."""
    rows = {row[0]: Row(*row) for row in run_sql(database, JOBS)}
    effects = run_sql(database, EFFECTS)
    lines = list(read_log(log))
    ids = {line["id"]: line for line in lines if line.get("status") in (200, 202)}
    findings = Findings(accepted=len(ids), attempts=sum(row.fence for row in rows.values()))
    findings.states.update(rows[job_id].state for job_id in ids if job_id in rows)
    findings.lost = [i for i in ids if i not in rows or rows[i].state not in ENDED]
    findings.twice_accepted = find_twice_accepted(lines)
    findings.no_single_outcome = [i for i, row in rows.items() if not row.has_one_outcome()]
    findings.wrong_results = [i for i, row in rows.items() if not answers_its_request(row)]
    judge_effects(findings, rows, effects)
    findings.late_writes += find_changed(lines, rows)
    return findings


def read_log(log: Path) -> Iterator[dict[str, Any]]:
    with log.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def find_twice_accepted(lines: Iterable[dict[str, Any]]) -> list[str]:
    by_key: dict[str, set[str]] = {}
    for line in lines:
        if line.get("status") in (200, 202):
            by_key.setdefault(line["key"], set()).add(line["id"])
    return [job_id for found in by_key.values() if len(found) > 1 for job_id in sorted(found)]


def answers_its_request(row: Row) -> bool:
    if row.task != "echo.count" or row.state != "succeeded" or row.result is None:
        return True
    return bool(json.loads(row.result)["number"] == json.loads(row.request)["number"])


def judge_effects(findings: Findings, rows: dict[str, Row], effects: list[tuple[str, int]]) -> None:
    """Every succeeded count has one effect, its own; nothing else has any."""
    times = Counter(job_id for job_id, _ in effects)
    due = {i for i, row in rows.items() if row.task == "echo.count" and row.state == "succeeded"}
    findings.double_effects = [job_id for job_id, count in times.items() if count > 1]
    findings.missing_effects = sorted(due - times.keys())
    findings.late_writes = sorted(times.keys() - due)
    findings.wrong_results += [
        job_id
        for job_id, number in effects
        if job_id in due and json.loads(rows[job_id].request)["number"] != number
    ]


def find_changed(lines: Iterable[dict[str, Any]], rows: dict[str, Row]) -> list[str]:
    """Jobs that the client saw ended, and that look different now."""
    changed = []
    for line in lines:
        if "finished_at" not in line:
            continue
        row = rows.get(line["id"])
        if (
            row is None
            or row.state != line["state"]
            or row.finished_at is None
            or abs(row.finished_at - line["finished_at"]) > SAME_MOMENT
        ):
            changed.append(line["id"])
    return changed


if __name__ == "__main__":
    found = check(Path(sys.argv[1]), sys.argv[2])
    for name, value in found.table():
        sys.stdout.write(f"{name:24} {value}\n")
    sys.exit(0 if found.kept else 1)
