"""One answer for each job of a batch."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from shared.contract import Message
from workers.runtime.run import JobError, Run

R = TypeVar("R", bound=Message)
A = TypeVar("A")


def answer_each(batch: Sequence[Run[R]], answer: Callable[[Run[R]], A]) -> list[A | JobError]:
    """A refusal is an answer too, so it costs the others nothing."""

    def try_one(run: Run[R]) -> A | JobError:
        try:
            return answer(run)
        except JobError as refusal:
            return refusal

    return [try_one(run) for run in batch]
