"""The state folder: private, lockable, and remembered from one start to the next."""

import fcntl
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.local.errors import FolderBusy, StackError

MIN_FREE = 500 * 2**20  # bytes


class State(BaseModel):
    """What a stack remembers in state.json."""

    model_config = ConfigDict(extra="ignore")

    port: int | None = None
    broker_port: int | None = None
    broker_password: str = Field(default_factory=lambda: secrets.token_urlsafe(32))
    address: str = ""
    socket: Path | None = None  # where supervisor answers
    session: int | None = None  # process session of the last start; None after a clean stop


def prepare_home(home: Path) -> Path:
    """Make the folder, private, and return its full path; raises StackError if it is no use."""
    home = home.absolute()
    if "\n" in str(home):
        raise StackError(f"The state folder {home!r} has a line break in its name.")
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        (home / "logs").mkdir(mode=0o700, exist_ok=True)
        with tempfile.TemporaryFile(dir=home):
            pass
    except OSError as problem:
        raise StackError(
            f"The state folder {home} cannot be written: {problem.strerror}. "
            "Set ATELIER_HOME to a folder of yours."
        ) from problem
    free = shutil.disk_usage(home).free
    if free < MIN_FREE:
        raise StackError(
            f"The disk that holds {home} is nearly full: {free / 2**20:.0f} MB are free, "
            f"{MIN_FREE / 2**20:.0f} MB are needed. Free some, or set ATELIER_HOME elsewhere."
        )
    return home.resolve()


@contextmanager
def lock_home(home: Path, patience: float = 2.0) -> Iterator[int]:
    """Hold the folder; yields the lock's file descriptor.

    Whoever inherits the descriptor goes on holding it: supervisord does for as long as it
    lives, so the lock tells whether a stack runs, even after a crash. `patience` in seconds.
    """
    descriptor = os.open(home / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + patience
        while not _try_lock(descriptor, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                raise FolderBusy(
                    f"Another stack is using {home}, or is just starting or stopping there. "
                    "`atelier status` shows it; `atelier down` stops it."
                )
            time.sleep(0.05)
        yield descriptor
    finally:
        os.close(descriptor)


def is_locked(home: Path) -> bool:
    try:
        descriptor = os.open(home / "lock", os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except PermissionError as problem:
        raise StackError(
            f"The state folder {home} belongs to another user. Set ATELIER_HOME to one of yours."
        ) from problem
    try:
        return not _try_lock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def read_state(home: Path) -> State:
    path = home / "state.json"
    try:
        return State.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return State()
    except ValidationError as problem:
        raise StackError(
            f"{path} is damaged. Delete it: ports are then chosen anew, and no job is lost."
        ) from problem


def write_state(home: Path, state: State) -> None:
    write_private(home / "state.json", state.model_dump_json(indent=2) + "\n")


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step; only its owner can read it."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def read_line(path: Path) -> str:
    """The text of a one-line file, empty if there is none."""
    try:
        return path.read_text("utf-8").strip()
    except FileNotFoundError:
        return ""
