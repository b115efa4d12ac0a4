"""A process with a beating heart, for a test to watch: `python heart.py CASE HOME`."""

import ctypes
import os
import sys
import time
from pathlib import Path

from shared.db import migrate, open_db
from shared.settings import Settings
from workers.runtime import heartbeat
from workers.runtime.heartbeat import Heartbeat

heartbeat.TICK = 0.05
heartbeat.CALL_GRACE = 0.2


def start_heart(settings: Settings) -> Heartbeat:
    heart = Heartbeat(settings, open_db(settings.database), "quiz")
    heart.start()
    return heart


def be_stuck(settings: Settings) -> None:
    """A method that runs over its time limit inside C code, which no signal can end."""
    heart = start_heart(settings)
    heart.call_ends = time.monotonic() + 0.2
    ctypes.CDLL(None).sleep(60)


def be_orphaned(settings: Settings) -> None:
    ready, tell = os.pipe()
    if os.fork():
        os.read(ready, 1)
        os._exit(0)
    start_heart(settings)
    os.write(tell, b"!")
    time.sleep(60)


def work_on_a_broken_disk(settings: Settings) -> None:
    """Ends well once the heart beats on a disk that could not be written at first."""
    start_heart(settings)
    time.sleep(0.5)
    settings.home.unlink()  # a file in the place of the folder
    while not (settings.home / "quiz.alive").exists():
        time.sleep(0.05)


def run_out_of_memory(settings: Settings) -> None:
    """Ends well once the heart beats, though at first every beat finds no room."""
    heart = Heartbeat(settings, open_db(settings.database), "quiz")
    beat, beats = heart.tick, 0

    def tick() -> None:
        nonlocal beats
        beats += 1
        if beats < 5:
            bytearray(2**62)
        beat()

    heart.tick = tick  # type: ignore[method-assign]
    heart.start()
    while not (settings.home / "quiz.alive").exists():
        time.sleep(0.05)


CASES = {
    "stuck": be_stuck,
    "orphan": be_orphaned,
    "broken": work_on_a_broken_disk,
    "full": run_out_of_memory,
}

if __name__ == "__main__":
    home = Path(sys.argv[2])
    chosen = Settings(home=home / "state", DATABASE_URL=f"sqlite:///{home}/heart.db", heartbeat=0.1)
    migrate(chosen.database)
    if sys.argv[1] == "broken":
        chosen.home.touch()
    CASES[sys.argv[1]](chosen)
