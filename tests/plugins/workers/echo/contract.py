"""What the echo worker accepts and returns."""

from typing import Literal

from shared.contract import BlobId, Message, Task


class SayRequest(Message):
    text: str = ""
    file: BlobId | None = None


class SayResult(Message):
    text: str
    size: int = 0  # bytes of the file


class ActRequest(Message):
    """How to behave: `crash` and `segfault` end the process, `hang` ignores its time limit."""

    act: Literal["sleep", "raise", "crash", "segfault", "hang", "memory", "refuse"]
    seconds: float = 0.0


class CountRequest(Message):
    number: int
    seconds: float = 0.0  # that the work takes


class CountResult(Message):
    number: int


SAY = Task(
    "echo.say", SayRequest, SayResult, "Repeat a text.", example={"text": "hello"}, max_batch=64
)
ACT = Task(
    "echo.act",
    ActRequest,
    SayResult,
    "Behave as asked.",
    example={"act": "sleep"},
    max_batch=4,
    time_limit=2,
)
COUNT = Task(
    "echo.count",
    CountRequest,
    CountResult,
    "Write one row, in the transaction that finishes the job.",
    example={"number": 1},
    max_batch=32,
)
TASKS = [SAY, ACT, COUNT]
