"""Starts a stack: prepares the folder, the ports and the database, and runs supervisord."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.local import broker, config
from services.local.control import (
    Say,
    Stack,
    clean_crashed,
    forget_run,
    given_redis,
    keep_quiet,
)
from services.local.database import prepare_database
from services.local.errors import StackError
from services.local.home import (
    State,
    lock_home,
    prepare_home,
    read_line,
    read_state,
    write_private,
    write_state,
)
from services.local.leftovers import end_session
from services.local.logs import read_last
from services.local.ports import choose_port, claim_port
from services.local.programs import Program, plan_programs
from services.local.readiness import READY_LIMIT, StartFailed, watch_start
from services.local.signals import defer_signals, exit_on_signals
from services.local.sockets import place_socket
from services.local.supervision import get_pid
from shared.settings import Settings

ANSWER_LIMIT = 15.0  # seconds until supervisord answers
PID_FILE = "supervisord.pid"


@dataclass(frozen=True)
class Plan:
    """All that has to be known before anything runs."""

    home: Path
    state: State
    redis_url: str
    programs: Sequence[Program]
    environment: Mapping[str, str]


@contextmanager
def running_stack(
    overrides: Mapping[str, Any] | None = None,
    programs: Sequence[Program] | None = None,
    limit: float = READY_LIMIT,
) -> Iterator[Stack]:
    """A stack that is ready, and is stopped after the block, on an error, and on SIGTERM.

    `overrides` are fields of Settings, `programs` replace Atelier's own, `limit` is in seconds.
    Raises StackError if something does not start.
    """
    settings = Settings(**name_variables(overrides or {}))
    with start_stack(settings, programs) as stack:
        late = [phase for phase in watch_start(stack, limit) if not phase.ready]
        if late:
            raise StartFailed(stack, late)
        yield stack
        stack.stop()


def name_variables(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The overrides under the names that win over the same variable in the environment."""
    fields = Settings.model_fields
    return {str(fields[name].validation_alias or name): overrides[name] for name in overrides}


@contextmanager
def start_stack(
    settings: Settings, programs: Sequence[Program] | None = None, say: Say = keep_quiet
) -> Iterator[Stack]:
    """A stack just started; it goes on after the block, but is stopped if the block fails."""
    stack: Stack | None = None
    with exit_on_signals():
        try:
            home = prepare_home(settings.home)
            with lock_home(home) as lock:
                plan = prepare(settings, home, programs, say)
                with defer_signals():  # from the first process on, somebody has to stop it
                    stack = launch(plan, lock)
            yield stack
        except BaseException:
            if stack:
                stack.stop(say)
            raise


def prepare(settings: Settings, home: Path, programs: Sequence[Program] | None, say: Say) -> Plan:
    """Everything up to the first process; raises StackError with what to do."""
    state = read_state(home)
    if ended := clean_crashed(home, state):
        say(f"The last run was killed; {ended} processes that it left running were ended.")
    state.port = (
        claim_port(settings.host, settings.port)
        if settings.port
        else choose_port(settings.host, state.port)
    )
    state.address = f"http://{_reach(settings.host)}:{state.port}"
    redis_url = given_redis(settings)
    if programs is None:
        programs = plan_programs(settings, state.port, embedded_broker=not redis_url)
        prepare_database(settings.database, home)
    if not redis_url:
        redis_url = prepare_broker(home, state)
    environment = config.make_environment(settings, home, state.port, redis_url, os.environ)
    write_state(home, state)
    return Plan(home, state, redis_url, programs, environment)


def _reach(host: str) -> str:
    """The name under which this machine reaches a server that listens on `host`."""
    name = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    return f"[{name}]" if ":" in name else name


def prepare_broker(home: Path, state: State) -> str:
    """Write the embedded broker's configuration; answers with its URL."""
    assert state.port is not None
    state.broker_port = choose_port("127.0.0.1", state.broker_port, frozenset({state.port}))
    folder = home / "valkey"
    folder.mkdir(mode=0o700, exist_ok=True)
    write_private(
        folder / "valkey.conf", broker.write_config(state.broker_port, state.broker_password)
    )
    return broker.broker_url(state.broker_port, state.broker_password)


def launch(plan: Plan, lock: int) -> Stack:
    """Run supervisord in the background; `lock` is the descriptor that it keeps."""
    state = plan.state
    state.socket = place_socket(plan.home)
    try:
        state.session = run_supervisord(plan, state.socket, lock)
    except BaseException:
        forget_run(plan.home, state)
        raise
    write_state(plan.home, state)
    return Stack(plan.home, state, plan.redis_url)


def run_supervisord(plan: Plan, socket: Path, lock: int) -> int:
    """The process id of a supervisord that answers at `socket`."""
    write_private(plan.home / "supervisord.conf", config.write_config(plan.programs, socket))
    write_private(plan.home / "address", plan.state.address + "\n")
    (plan.home / PID_FILE).unlink(missing_ok=True)  # of a run that was killed
    command = [sys.executable, "-P", "-m", "supervisor.supervisord", "-c", "supervisord.conf"]
    started = subprocess.run(
        command,
        cwd=plan.home,
        env=dict(plan.environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        pass_fds=(lock,),
        check=False,
    )
    if started.returncode != 0:
        said = started.stderr.strip() or started.stdout.strip()
        raise StackError(f"supervisord did not start: {said}")
    return _await_answer(plan.home, socket)


def _await_answer(home: Path, socket: Path) -> int:
    """The process id of supervisord, once it answers."""
    deadline = time.monotonic() + ANSWER_LIMIT
    while True:
        try:
            return get_pid(socket)
        except StackError:
            if time.monotonic() > deadline:
                break
            time.sleep(0.05)
    if pid := read_line(home / PID_FILE):
        end_session(int(pid), patience=0)
    said = "\n".join(read_last(home / "logs" / "supervisord.log", 15))
    raise StackError(f"supervisord does not answer at {socket}. The end of its log:\n{said}")
