"""Keeps what is on each frame: all of it in a file, and parts as events while the job runs."""

import json
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from workers.detect.stream_contract import FrameView, StreamRequest
from workers.runtime.clock import Clock
from workers.runtime.run import Run

TELL_EVERY = 0.25  # seconds between events, while their lines have room in one
MOST_TOLD = 2**15  # bytes of lines in an event: the broker keeps 1000 events of a job
RATE = 2**18  # bytes a second that are told; what goes beyond is in the file alone
SAVED = 4.0  # seconds of that rate that may be told at once, after less was told
MOST_BYTES = 2**31  # of the file


class FrameLines:
    """A file of NDJSON, a line for each frame."""

    def __init__(self, path: Path, run: Run[StreamRequest]) -> None:
        self.file = path.open("wb")
        self.run = run
        self.clock = Clock(TELL_EVERY, first=0.0)
        self.waiting: list[dict[str, Any]] = []  # to be told
        self.room = MOST_TOLD
        self.allowance, self.counted = RATE * SAVED, time.monotonic()  # bytes; when it was so

    def __enter__(self) -> "FrameLines":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.file.close()

    @property
    def full(self) -> bool:
        return self.file.tell() >= MOST_BYTES

    def add(self, view: FrameView) -> None:
        """Write its line. It is told soon, unless there is more than followers can take."""
        text = view.model_dump_json()
        self.file.write(text.encode() + b"\n")
        line = json.loads(text)
        size = len(json.dumps(line))  # as events are sent: in ASCII
        if size > MOST_TOLD or not self._spend(size):
            return
        if size > self.room:
            self.flush()
        self.room -= size
        self.waiting.append(line)

    def tell(self) -> None:
        """Publish what waits, unless the last event was just now."""
        if self.waiting and self.clock.is_due():
            self.flush()

    def flush(self) -> None:
        if self.waiting:
            self.run.tell(self.waiting)
        self.waiting, self.room = [], MOST_TOLD

    def _spend(self, size: int) -> bool:
        """Whether so many bytes may be told now."""
        now = time.monotonic()
        self.allowance = min(self.allowance + RATE * (now - self.counted), RATE * SAVED)
        self.counted = now
        if size > self.allowance:
            return False
        self.allowance -= size
        return True
