"""Finds and ends the processes of a stack that outlived it.

All processes of a stack are in the session of its supervisord, also those that the programs
start themselves, so a session without its supervisord holds leftovers and nothing else.
"""

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

PATIENCE = 35.0  # seconds from SIGTERM to SIGKILL, as long as a worker may take


def end_session(session: int, patience: float) -> int:
    """End every process of the session, after `patience` seconds by force; says how many."""
    members = list_session(session)
    for pid in members:
        if patience and _get_group(pid) == pid:  # a program; it stops its own processes
            _send(pid, signal.SIGTERM)
    deadline = time.monotonic() + patience
    while list_session(session) and time.monotonic() < deadline:
        time.sleep(0.1)
    while rest := list_session(session):
        for pid in rest:
            _send(pid, signal.SIGKILL)
        time.sleep(0.05)
    return len(members)


def end_crashed(session: int, home: Path, patience: float) -> int:
    """End what a supervisord that was killed left behind; says how many processes.

    The number of a session may belong to somebody else by now (after a restart of the machine),
    so a process must also know this state folder.
    """
    if not any(_knows(pid, home) for pid in list_session(session)):
        return 0
    return end_session(session, patience)


def list_session(session: int) -> list[int]:
    """The live processes of a session, without those that only wait to be reaped."""
    if Path("/proc/self/stat").exists():
        return [pid for pid, found in _read_proc() if found == session]
    listed = _ask_ps("-A", "-o", "pid=,stat=").split("\n")
    rows = [line.split() for line in listed if line.strip()]
    alive = [int(pid) for pid, state, *_ in rows if not state.startswith("Z")]
    return [pid for pid in alive if _get_session(pid) == session]


def _read_proc() -> list[tuple[int, int]]:
    """(process, session) of everything that lives."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with suppress(OSError):  # ended meanwhile
            # "pid (name) state parent group session ..."; the name may hold spaces and brackets
            state, _, _, session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
            if state not in "ZX":
                found.append((int(folder.name), int(session)))
    return found


def _knows(pid: int, home: Path) -> bool:
    """Whether the process was started with this state folder in its environment."""
    mark = f"ATELIER_HOME={home}"
    if Path("/proc/self/environ").exists():
        try:
            return os.fsencode(mark) in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:
            return False
    return mark in _ask_ps("-Eww", "-o", "command=", "-p", str(pid))


def _ask_ps(*arguments: str) -> str:
    return subprocess.run(["ps", *arguments], capture_output=True, text=True, check=False).stdout


def _get_session(pid: int) -> int | None:
    with suppress(ProcessLookupError, PermissionError):
        return os.getsid(pid)
    return None


def _get_group(pid: int) -> int | None:
    with suppress(ProcessLookupError, PermissionError):
        return os.getpgid(pid)
    return None


def _send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
