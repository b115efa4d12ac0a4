"""A running stack: found, looked at, and stopped in order."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from services.local.errors import FolderBusy, StackError
from services.local.home import State, is_locked, lock_home, read_line, read_state, write_state
from services.local.leftovers import PATIENCE, end_crashed, end_session
from services.local.programs import Stage
from services.local.signals import defer_signals
from services.local.sockets import remove_socket
from services.local.supervision import Process, list_processes, start_process, stop_process
from shared.settings import Settings

STOP_LIMIT = 120.0  # seconds; more than all stages may take together

Say = Callable[[str], None]  # tells people what happens


def keep_quiet(_: str) -> None:
    """Tells nobody."""


@dataclass
class Stack:
    """A stack that was started; its programs may be stopped and started one by one."""

    home: Path
    state: State
    redis_url: str

    @property
    def address(self) -> str:
        return self.state.address

    @property
    def api_key(self) -> str:
        return read_line(self.home / "api-key")

    @property
    def socket(self) -> Path:
        if self.state.socket is None:
            raise StackError(f"The stack in {self.home} has been stopped.")
        return self.state.socket

    def is_alive(self) -> bool:
        return is_locked(self.home)

    def processes(self) -> list[Process]:
        return list_processes(self.socket)

    def pids(self) -> dict[str, int]:
        """Program -> process id, of the programs that run now."""
        return {process.name: process.pid for process in self.processes() if process.pid}

    def pid(self, program: str) -> int:
        """Raises StackError if the program does not run now."""
        process = self._find(program)
        if not process.pid:
            raise StackError(f"{program} is not running: {process.state.lower()}.")
        return process.pid

    def stop_program(self, program: str) -> None:
        """Stop one program, and wait for its end; it stays away until it is started again."""
        stop_process(self.socket, self._find(program))

    def start_program(self, program: str) -> None:
        start_process(self.socket, self._find(program))

    def _find(self, program: str) -> Process:
        processes = {process.name: process for process in self.processes()}
        if program not in processes:
            raise StackError(f"There is no program {program}; there are: {', '.join(processes)}.")
        return processes[program]

    def stop(self, say: Say = keep_quiet) -> int:
        """Stop stage after stage; says how many processes outlived that and were ended by force.

        A second call does nothing. Signals wait until everything has stopped.
        """
        if self.state.session is None:
            return 0
        with defer_signals():
            if self.is_alive():
                self._stop_in_order(self.state.session, say)
            rest = end_session(self.state.session, patience=0)
            forget_run(self.home, self.state)
        return rest

    def _stop_in_order(self, session: int, say: Say) -> None:
        running = []
        with suppress(StackError):  # it has just been started, or is stopping already
            ordered = sorted(self.processes(), key=lambda process: -Stage[process.stage.upper()])
            running = [process for process in ordered if process.pid]
        with suppress(ProcessLookupError):
            os.kill(session, signal.SIGTERM)  # supervisord leads the session
        deadline = time.monotonic() + STOP_LIMIT
        while self.is_alive() and time.monotonic() < deadline:
            time.sleep(0.05)
            running = _report_ended(running, say)
        _report_ended(running, say)


def _report_ended(running: list[Process], say: Say) -> list[Process]:
    """Say which programs ended, in the order of stopping; answers with those that still run."""
    still = [process for process in running if _lives(process.pid)]
    for process in running:
        if process not in still:
            say(f"{process.name} stopped")
    return still


def _lives(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def find_stack(settings: Settings) -> Stack | None:
    """The stack that runs in the state folder; FolderBusy while it starts or stops."""
    home = settings.home.resolve()
    if not is_locked(home):
        return None
    state = read_state(home)
    if state.session is None or state.socket is None:
        raise FolderBusy(f"A stack is just starting in {home}; try again in a moment.")
    return Stack(home, state, given_redis(settings))


def given_redis(settings: Settings) -> str:
    """The broker somebody chose; empty: the embedded one."""
    return settings.redis_url if "redis_url" in settings.model_fields_set else ""


def clean_crashed(home: Path, state: State, patience: float = PATIENCE) -> int:
    """End what a killed supervisord left running here; needs the folder's lock."""
    ended = end_crashed(state.session, home, patience) if state.session else 0
    forget_run(home, state)
    return ended


def clean_home(home: Path, patience: float = PATIENCE) -> int:
    """Like clean_crashed, for a folder nobody uses now; says how many processes were ended."""
    if not (home / "state.json").exists():
        return 0
    with lock_home(home):
        return clean_crashed(home, read_state(home), patience)


def forget_run(home: Path, state: State) -> None:
    """Note that nothing runs; nobody should send a key to whatever gets this port next."""
    if state.socket is not None:
        remove_socket(state.socket, home)
    (home / "address").unlink(missing_ok=True)
    state.session, state.socket = None, None
    write_state(home, state)
