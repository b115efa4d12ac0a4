"""Speaks with supervisord through its unix socket."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy

from supervisor.xmlrpc import SupervisorTransport

from services.local.errors import FolderBusy, StackError

SHUTTING_DOWN = 6  # supervisor.xmlrpc.Faults.SHUTDOWN_STATE


@dataclass(frozen=True)
class Process:
    """A program as supervisor sees it now."""

    name: str
    stage: str  # of services.local.programs.Stage, in lower case
    state: str  # RUNNING, STARTING, BACKOFF, STOPPED, EXITED, FATAL, ...
    pid: int  # 0: none
    started: int  # seconds since 1970, of the latest start
    problem: str  # why it could not be started, or empty


def list_processes(socket: Path) -> list[Process]:
    with _connect(socket) as supervisor:
        return [
            Process(
                name=found["name"],
                stage=found["group"],
                state=found["statename"],
                pid=found["pid"],
                started=found["start"],
                problem=found["spawnerr"],
            )
            for found in supervisor.getAllProcessInfo()
        ]


def get_pid(socket: Path) -> int:
    """The process id of supervisord itself."""
    with _connect(socket) as supervisor:
        return int(supervisor.getPID())


def stop_process(socket: Path, process: Process) -> None:
    with _connect(socket) as supervisor:
        supervisor.stopProcess(f"{process.stage}:{process.name}")


def start_process(socket: Path, process: Process) -> None:
    with _connect(socket) as supervisor:
        supervisor.startProcess(f"{process.stage}:{process.name}")


@contextmanager
def _connect(socket: Path) -> Iterator[Any]:
    transport = SupervisorTransport(None, None, f"unix://{socket}")
    try:
        with ServerProxy("http://127.0.0.1", transport=transport) as proxy:
            yield proxy.supervisor
    except Fault as fault:
        if fault.faultCode == SHUTTING_DOWN:
            raise FolderBusy("The stack is stopping; try again in a moment.") from fault
        raise StackError(f"supervisor refused: {fault.faultString}") from fault
    except (OSError, HTTPException) as problem:
        raise StackError(f"supervisor does not answer at {socket}: {problem}") from problem
