"""Tells the followers of a long job how far it is."""

import time
from collections.abc import Callable
from typing import Any

from workers.runtime.clock import Clock
from workers.runtime.run import Run

REPORT_EVERY = 0.5  # seconds between two of a loop
PREVIEW_EVERY = 5.0  # seconds between pictures, at least
DRAWING = 50  # times as long as drawing took, nothing is drawn
SHARE = 0.01  # of the time so far, nothing is drawn: a week has 800 pictures, and not 100,000


class Reporter:
    """Progress, with a picture now and then."""

    def __init__(self, run: Run[Any]) -> None:
        self.run = run
        self.started = time.monotonic()
        self.counting = Clock(REPORT_EVERY, first=0.0)
        self.measuring = Clock(REPORT_EVERY, first=0.0)
        self.drawing = Clock(PREVIEW_EVERY, first=0.0)

    def prepare(self, done: int, count: int) -> None:
        """Before training, for each picture that is made ready. Raises Cancelled."""
        if self.counting.is_due():
            self.run.progress(0.0, f"preparing picture {done + 1} of {count}")

    def report(
        self, fraction: float, step: str, draw: Callable[[], bytes] | None, now: bool = False
    ) -> None:
        """`draw`: None while there is nothing to draw; `now`: also if it is not time yet.

        Raises Cancelled.
        """
        preview = None
        if now:
            self.drawing.due = 0.0
        if draw is not None and self.drawing.is_due():
            preview = self.run.save(draw())
            self.drawing.seconds = max(PREVIEW_EVERY, SHARE * (time.monotonic() - self.started))
            self.drawing.wait(DRAWING)
        self.run.progress(fraction, step, preview)

    def measure(self) -> None:
        """Between training and outcome, as often as you like. Raises Cancelled."""
        if self.measuring.is_due():
            self.run.progress(1.0, "measuring")
        self.run.raise_if_cancelled()
