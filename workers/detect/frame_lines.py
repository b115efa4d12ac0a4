"""Keeps what is on each frame: all of it in a file, and parts as events while the job runs."""

import json
from pathlib import Path
from types import TracebackType
from typing import Any

from workers.detect.stream_contract import FrameView, StreamRequest
from workers.runtime.clock import Clock
from workers.runtime.run import Run, TooLarge

TELL_EVERY = 0.25  # seconds between events
MOST_TOLD = 2**14  # bytes of lines in an event: the broker keeps 1000 events of a job
MOST_BYTES = 2**31  # of the file


class FrameLines:
    """A file of NDJSON, a line for each frame."""

    def __init__(self, path: Path, run: Run[StreamRequest]) -> None:
        self.file = path.open("wb")
        self.run = run
        self.clock = Clock(TELL_EVERY, first=0.0)
        self.waiting: list[dict[str, Any]] = []  # to be told
        self.room = MOST_TOLD

    def __enter__(self) -> "FrameLines":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.file.close()

    def add(self, view: FrameView) -> None:
        """Write its line. It is told soon, if there is room in the next event.

        Raises TooLarge beyond MOST_BYTES.
        """
        line = view.model_dump_json()
        self.file.write(line.encode() + b"\n")
        if self.file.tell() > MOST_BYTES:
            raise TooLarge(
                f"There are more than {MOST_BYTES} bytes of results: raise score_threshold or "
                '"every", or lower max_detections.'
            )
        if len(line) <= self.room:
            self.room -= len(line)
            self.waiting.append(json.loads(line))

    def tell(self) -> None:
        """Publish what waits, unless the last event was just now."""
        if self.waiting and self.clock.is_due():
            self.flush()

    def flush(self) -> None:
        if self.waiting:
            self.run.tell(self.waiting)
        self.waiting, self.room = [], MOST_TOLD
