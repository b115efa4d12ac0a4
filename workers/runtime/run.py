"""One job as a worker method sees it: its request, its files, its progress."""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sqlalchemy.orm import Session

from shared.contract import Message

R = TypeVar("R", bound=Message)

MAX_DETAIL = 2000  # characters that tell why a job failed

# Runs in the transaction that finishes the job; what it returns is added to the result.
Effect = Callable[[Session], dict[str, Any] | None]


class JobError(Exception):
    """A job that cannot succeed; `code` is for programs, the text tells people what to do."""

    code = "failed"


class InvalidInput(JobError):
    """The job's input cannot be used; retrying will not help."""

    code = "invalid_input"


class TooLarge(JobError):
    """The job needs more memory than the worker has."""

    code = "too_large"


class Cancelled(Exception):
    """Raised inside a worker method once its job was cancelled or its deadline passed."""


class Settled:
    """Stands where the answer of a job would, whose outcome was recorded before the others'."""


SETTLED = Settled()


def tidy(detail: str | None) -> str | None:
    """The text of an error, shortened, without control characters: it may quote a file."""
    if detail is None:
        return None
    if len(detail) > MAX_DETAIL:
        detail = detail[: MAX_DETAIL - 3] + "..."
    kept = (c for c in detail if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs"))
    return "".join(kept)


@dataclass
class Run(Generic[R]):
    """A claimed job. Worker methods get a sequence of these and answer in the same order."""

    job_id: str
    tenant: str
    request: R
    read: Callable[[str], bytes]  # the content of a blob
    save: Callable[[bytes], str]  # content -> the id of a new blob; its type is sniffed
    report: Callable[[dict[str, Any]], None]  # publishes one event
    tell: Callable[[list[dict[str, Any]]], None]  # publishes a part of the answer
    stop_requested: Callable[[], bool]
    # Records the outcome while others of the batch go on; SETTLED is then the answer.
    settle: Callable[[Message | JobError | Cancelled], None]
    kept: Message | None = None  # the result that stays if the job is cancelled
    key_id: int | None = None  # the API key it was submitted with
    effects: list[Effect] = field(default_factory=list)

    def progress(self, fraction: float, step: str = "", preview: str | None = None) -> None:
        """Tell followers how far the job is: fraction in [0, 1], preview the id of a blob.

        Raises Cancelled if the job should stop, so a loop that reports can be cancelled.
        """
        self.report({"fraction": round(fraction, 4), "step": step, "preview": preview})
        self.raise_if_cancelled()

    def raise_if_cancelled(self) -> None:
        if self.stop_requested():
            raise Cancelled
