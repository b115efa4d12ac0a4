"""A job and its events as the API shows them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

FINISHED = ("succeeded", "failed", "cancelled")


@dataclass(frozen=True)
class Job:
    """What the server last said about a job; `raw` is the whole answer."""

    id: str
    task: str
    state: str  # queued, running, succeeded, failed, cancelled
    progress: dict[str, Any] | None  # fraction in [0, 1], step, preview (a blob id)
    position: int | None  # jobs ahead, while queued
    result: dict[str, Any] | None
    error: dict[str, Any] | None  # code, detail
    created_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    raw: dict[str, Any]

    @classmethod
    def read(cls, data: dict[str, Any]) -> "Job":
        return cls(
            id=data["id"],
            task=data["task"],
            state=data["state"],
            progress=data.get("progress"),
            position=data.get("position"),
            result=data.get("result"),
            error=data.get("error"),
            created_at=_read_time(data.get("created_at")),
            started_at=_read_time(data.get("started_at")),
            finished_at=_read_time(data.get("finished_at")),
            raw=data,
        )

    @property
    def finished(self) -> bool:
        return self.state in FINISHED

    @property
    def succeeded(self) -> bool:
        return self.state == "succeeded"

    @property
    def reason(self) -> str:
        """Why the job has no result; empty if it succeeded."""
        if self.error:
            return f"{self.error.get('code', 'failed')}: {self.error.get('detail', '')}"
        return "" if self.succeeded else self.state

    @property
    def seconds(self) -> float | None:
        """How long the work itself took."""
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()


@dataclass(frozen=True)
class JobEvent:
    """Something that happened to a job; `id` resumes a stream after it."""

    id: str
    name: str
    data: dict[str, Any]

    @property
    def last(self) -> bool:
        return self.name in FINISHED


def _read_time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
