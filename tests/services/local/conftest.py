"""Small programs that stand in for the real ones, and the processes they leave."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from services.local.programs import Program, Stage

# Writes its name when it starts and when it was asked to stop; `linger` seconds in between.
SLEEPER = """
import signal, sys, time
name, journal, linger = sys.argv[1], sys.argv[2], float(sys.argv[3])
def note(word):
    with open(journal, "a") as file:
        file.write(f"{name} {word}\\n")
def stop(*_):
    time.sleep(linger)
    note("stopped")
    raise SystemExit
signal.signal(signal.SIGTERM, stop)
note("started")
print(name, "says hello", flush=True)
while True:
    time.sleep(60)
"""

# A pool: its child ignores SIGTERM and outlives its parent.
POOL = """
import os, signal, sys, time
if os.fork() == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        time.sleep(60)
while True:
    time.sleep(60)
"""

BROKEN = """
import time
print("first line")
raise SystemExit("the weights are missing")
"""


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str, str], tuple[str, ...]]:
    """Makes the command that runs a text."""

    def write(name: str, text: str) -> tuple[str, ...]:
        path = tmp_path / f"{name}.py"
        path.write_text(text)
        return sys.executable, str(path)

    return write


@pytest.fixture
def sleeper(journal: Path, script) -> Callable[..., Program]:
    def make(name: str, stage: Stage, linger: float = 0) -> Program:
        command = (*script("sleeper", SLEEPER), name, str(journal), str(linger))
        return Program(name, command, stage, start_seconds=0)

    return make


@pytest.fixture
def trio(sleeper: Callable[..., Program]) -> list[Program]:
    """One program of each stage."""
    return [
        sleeper("late", Stage.WORKERS, linger=0.3),
        sleeper("first", Stage.BROKER),
        sleeper("middle", Stage.SERVICES, linger=0.3),
    ]


@pytest.fixture
def pool(script) -> Program:
    return Program("pool", script("pool", POOL), Stage.WORKERS, start_seconds=0)


@pytest.fixture
def broken(script) -> Program:
    return Program("broken", script("broken", BROKEN), Stage.SERVICES)
