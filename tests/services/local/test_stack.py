"""A stack starts whole, stops in order, and leaves nothing behind."""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.local.control import Stack, clean_home, find_stack
from services.local.errors import FolderBusy, StackError
from services.local.home import read_state
from services.local.leftovers import list_session
from services.local.programs import Program, Stage
from services.local.readiness import StartFailed
from services.local.stack import running_stack, start_stack
from shared.settings import Settings

STOPPED_IN_ORDER = ["late stopped", "middle stopped", "first stopped"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def stops(journal: Path) -> list[str]:
    return [line for line in journal.read_text().splitlines() if line.endswith("stopped")]


@contextmanager
def running(home: Path, programs: Sequence[Program], journal: Path) -> Iterator[Stack]:
    """A stack whose programs have come so far that they handle SIGTERM."""
    with running_stack({"home": home}, programs) as stack:
        wait_for_starts(journal, len(programs))
        yield stack


def wait_for_starts(journal: Path, count: int) -> None:
    wait_for(lambda: journal.exists() and len(starts(journal)) >= count)


def starts(journal: Path) -> list[str]:
    return [line for line in journal.read_text().splitlines() if line.endswith("started")]


def session_of(stack: Stack) -> int:
    assert stack.state.session is not None
    return stack.state.session


def wait_for(condition, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "this did not happen in time"
        time.sleep(0.05)


def test_stages_stop_from_the_workers_to_the_broker(home: Path, journal: Path, trio):
    with running(home, trio, journal) as stack:
        assert set(stack.pids()) == {"first", "middle", "late"}
        session = session_of(stack)
    assert stops(journal) == STOPPED_IN_ORDER
    assert list_session(session) == []


def test_an_error_in_the_block_stops_the_stack(home: Path, journal: Path, trio):
    sessions = []
    with pytest.raises(KeyError), running(home, trio, journal) as stack:  # noqa: PT012
        sessions.append(session_of(stack))
        raise KeyError
    [session] = sessions
    assert stops(journal) == STOPPED_IN_ORDER
    assert list_session(session) == []


def test_a_stack_knows_its_address_and_forgets_it_when_it_stops(home: Path, trio, journal: Path):
    with running(home, trio, journal) as stack:
        assert (home / "address").read_text().strip() == stack.address
        assert stack.redis_url.endswith(f"@127.0.0.1:{stack.state.broker_port}/0")
    assert not (home / "address").exists()


def test_ports_stay_the_same_from_one_start_to_the_next(home: Path, trio, journal: Path):
    seen = []
    for number in (1, 2):
        with running(home, trio, journal) as stack:
            wait_for_starts(journal, 3 * number)
            seen.append((stack.address, stack.redis_url))
    assert seen[0] == seen[1]


def test_a_program_can_be_stopped_and_started_again(home: Path, trio, journal: Path):
    with running(home, trio, journal) as stack:
        before = stack.pid("late")
        stack.stop_program("late")
        with pytest.raises(StackError, match="late is not running"):
            stack.pid("late")
        stack.start_program("late")
        wait_for_starts(journal, 4)
        assert stack.pid("late") != before


def test_a_program_that_dies_is_started_again(home: Path, trio, journal: Path):
    with running(home, trio, journal) as stack:
        before = stack.pid("late")
        os.kill(before, signal.SIGKILL)
        wait_for_starts(journal, 4)
        assert stack.pid("late") != before


def test_a_program_that_does_not_start_is_reported_with_the_end_of_its_log(home: Path, broken):
    with (
        pytest.raises(StartFailed, match=r"(?s)broken failed to start.*first line.*weights are"),
        running_stack({"home": home}, [broken]),
    ):
        pass
    assert find_stack(Settings(home=home)) is None


def test_a_program_that_is_not_there_is_reported(home: Path):
    absent = Program("absent", ("/absent/program",), Stage.SERVICES)
    with (
        pytest.raises(StartFailed, match="can't find command"),
        running_stack({"home": home}, [absent]),
    ):
        pass


def test_no_process_of_a_pool_outlives_the_stack(home: Path, pool):
    with running_stack({"home": home}, [pool]) as stack:
        session = session_of(stack)
        wait_for(lambda: len(list_session(session)) == 3)  # supervisord, parent and child
    assert list_session(session) == []


def test_a_folder_too_deep_for_a_socket_works(tmp_path: Path, trio, journal: Path):
    home = tmp_path / "deep" / ("d" * 120) / "50% ;home"
    with running(home, trio, journal) as stack:
        assert len(stack.pids()) == 3
        socket = stack.socket
    assert home not in socket.parents
    assert not socket.parent.exists()


def test_a_start_that_fails_leaves_no_socket_behind(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    home = tmp_path / ("d" * 120)
    twisted = Program("x", ("line\nbreak",), Stage.BROKER)
    with pytest.raises(StackError, match="line break"), running_stack({"home": home}, [twisted]):
        pass
    assert list(tmp_path.iterdir()) == [home]
    assert not (home / "address").exists()


def test_a_second_stack_cannot_use_the_folder(home: Path, trio, journal: Path):
    with (
        running(home, trio, journal),
        pytest.raises(FolderBusy),
        running(home, trio, journal),
    ):
        pass


def test_the_stack_is_found_from_outside_and_stopped(home: Path, journal: Path, trio):
    settings = Settings(home=home)
    assert find_stack(settings) is None
    with start_stack(settings, trio):
        pass
    found = find_stack(settings)
    assert found is not None
    wait_for_starts(journal, 3)
    said: list[str] = []
    found.stop(said.append)
    assert said == STOPPED_IN_ORDER
    assert find_stack(settings) is None


def test_what_a_killed_supervisord_leaves_is_ended_before_the_next_start(
    home: Path, journal: Path, trio, pool
):
    settings = Settings(home=home)
    with start_stack(settings, [*trio, pool]) as stack:
        session = session_of(stack)
        wait_for(lambda: len(stack.pids()) == 4 and len(list_session(session)) == 6)
        wait_for_starts(journal, 3)
        os.kill(session, signal.SIGKILL)
        wait_for(lambda: not stack.is_alive())
    assert find_stack(settings) is None
    assert len(list_session(session)) == 5
    assert clean_home(home, patience=1) == 5
    assert list_session(session) == []
    assert sorted(stops(journal)) == sorted(STOPPED_IN_ORDER)
    assert read_state(home).session is None


def test_a_session_that_belongs_to_somebody_else_by_now_is_left_alone(
    home: Path, trio, journal: Path
):
    with running(home, trio, journal):
        pass
    stranger = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        state = read_state(home)
        state.session = stranger.pid
        (home / "state.json").write_text(state.model_dump_json())
        assert clean_home(home) == 0
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


# A program of somebody who runs a stack; it says the session of its supervisord.
USER = """
import sys, time
from services.local.programs import Program, Stage
from services.local.stack import running_stack

home, sleeper, journal = sys.argv[1:]
programs = [
    Program(name, (sys.executable, sleeper, name, journal, "0.3"), stage, start_seconds=0)
    for name, stage in
    [("late", Stage.WORKERS), ("first", Stage.BROKER), ("middle", Stage.SERVICES)]
]
with running_stack({"home": home}, programs) as stack:
    print(stack.state.session, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def user(home: Path, journal: Path, script, trio) -> Iterator[subprocess.Popen[str]]:
    _, sleeper, *_ = trio[0].command
    process = subprocess.Popen(
        [*script("user", USER), str(home), sleeper, str(journal)],
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    with process:
        yield process
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_to_the_process_in_the_foreground_stops_everything_in_order(
    user: subprocess.Popen[str], number: signal.Signals, journal: Path
):
    assert user.stdout is not None
    session = int(user.stdout.readline())
    wait_for_starts(journal, 3)
    os.killpg(user.pid, number)  # as a terminal does with Ctrl-C
    user.wait(30)
    assert stops(journal) == STOPPED_IN_ORDER
    assert list_session(session) == []


def test_a_signal_while_everything_stops_does_not_cut_it_short(
    user: subprocess.Popen[str], journal: Path
):
    assert user.stdout is not None
    session = int(user.stdout.readline())
    wait_for_starts(journal, 3)
    for _ in range(3):
        os.killpg(user.pid, signal.SIGTERM)
        time.sleep(0.1)
    user.wait(30)
    assert stops(journal) == STOPPED_IN_ORDER
    assert list_session(session) == []
