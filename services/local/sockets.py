"""Finds a place for supervisor's unix socket."""

import os
import socket
import tempfile
from pathlib import Path

# A unix socket's path holds 108 bytes on Linux and 104 on macOS, the closing zero included, and
# supervisor first binds to the path with a dot and its process id (up to 7 digits) behind it.
MAX_BYTES = 103 - 8
NAME = "supervisor.sock"
PREFIX = "atelier-"


def place_socket(home: Path) -> Path:
    """A path in the state folder; if that is too deep, in a new private folder for short paths."""
    path = home / NAME
    if fits(path) and _holds_sockets(home):
        return path
    for folder in (Path(tempfile.gettempdir()), Path("/tmp")):
        if fits(folder / f"{PREFIX}12345678" / NAME):
            break
    return Path(tempfile.mkdtemp(prefix=PREFIX, dir=folder)) / NAME  # mkdtemp: mode 0700


def remove_socket(path: Path, home: Path) -> None:
    """Take away what place_socket made."""
    path.unlink(missing_ok=True)
    if path.parent != home and path.parent.name.startswith(PREFIX) and path.parent.is_dir():
        path.parent.rmdir()


def fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= MAX_BYTES


def _holds_sockets(folder: Path) -> bool:
    """Whether sockets can be made and linked there; some mounted folders allow neither."""
    probe, link = folder / "probe.sock", folder / "probe.link"
    for path in (probe, link):
        path.unlink(missing_ok=True)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
            server.bind(str(probe))
        os.link(probe, link)  # supervisor does this to take the path in one step
    except OSError:
        return False
    finally:
        for path in (probe, link):
            path.unlink(missing_ok=True)
    return True
