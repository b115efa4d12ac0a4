"""When a loop should report, save or draw again."""

import time


class Clock:
    """Says when some seconds have gone by."""

    def __init__(self, seconds: float, first: float | None = None) -> None:
        """`first`: seconds until it is due for the first time, if other than later."""
        self.seconds = seconds
        self.due = time.monotonic() + (seconds if first is None else first)
        self.rang = 0.0

    def is_due(self) -> bool:
        now = time.monotonic()
        if now < self.due:
            return False
        self.rang, self.due = now, now + self.seconds
        return True

    def wait(self, times: float) -> None:
        """Be due only after so many times what was done since it was due."""
        now = time.monotonic()
        self.due = now + max(self.seconds, times * (now - self.rang))
