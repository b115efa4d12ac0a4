"""The commands say what they did, and their exit status says it to programs."""

import os
import signal
import subprocess
import time
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.local import commands
from services.local.__main__ import app
from services.local.commands import format_seconds
from services.local.control import find_stack
from services.local.home import lock_home
from services.local.leftovers import list_session
from services.local.programs import Program, Stage
from services.local.stack import start_stack
from shared.settings import Settings, read_settings


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    home = tmp_path / "home"
    monkeypatch.setenv("ATELIER_HOME", str(home))
    monkeypatch.setenv("COLUMNS", "200")
    read_settings.cache_clear()
    yield home
    if home.exists() and (stack := find_stack(Settings(home=home))):
        stack.stop()
    read_settings.cache_clear()


@pytest.fixture
def replace_programs(monkeypatch: pytest.MonkeyPatch):
    """Lets `up` start other programs."""

    def replace(programs: list[Program]) -> None:
        monkeypatch.setattr(commands, "start_stack", partial(start_stack, programs=programs))

    return replace


def call(*arguments: str):
    return CliRunner().invoke(app, list(arguments))


def wait_for(condition, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "this did not happen in time"
        time.sleep(0.05)


def test_a_stack_is_started_shown_and_stopped(home: Path, trio, journal, replace_programs):
    replace_programs(trio)

    started = call("up")
    assert started.exit_code == 0, started.output
    address = (home / "address").read_text().strip()
    assert f"Address  {address}" in started.output
    assert "middle ready" in started.output
    wait_for(lambda: journal.exists() and journal.read_text().count("started") == 3)

    shown = call("status")
    assert shown.exit_code == 0
    assert address in shown.output
    for name, pid in find_stack(Settings(home=home)).pids().items():
        assert name in shown.output
        assert str(pid) in shown.output

    again = call("up")
    assert again.exit_code == 0
    assert f"Already running: {address}" in again.output

    stopped = call("down")
    assert stopped.exit_code == 0
    assert stopped.output.split("\n")[:3] == ["late stopped", "middle stopped", "first stopped"]
    assert call("status").exit_code == 3


def test_nothing_to_stop_is_no_error(home: Path):
    result = call("down")
    assert result.exit_code == 0
    assert result.output == f"Nothing is running in {home}.\n"
    assert not home.exists()


@pytest.mark.usefixtures("home")
def test_status_without_a_stack_is_3():
    result = call("status")
    assert result.exit_code == 3
    assert "Not running" in result.output


@pytest.mark.usefixtures("home")
def test_a_service_that_does_not_start_stops_everything(broken, sleeper, replace_programs):
    replace_programs([sleeper("first", Stage.BROKER), broken])
    result = call("up")
    assert result.exit_code == 1
    assert "the weights are missing" in result.output
    assert call("status").exit_code == 3


@pytest.mark.usefixtures("home")
def test_a_worker_that_does_not_start_is_told_and_the_rest_runs(script, sleeper, replace_programs):
    failing = Program("style", script("failing", "raise SystemExit('no weights')"), Stage.WORKERS)
    replace_programs([sleeper("first", Stage.BROKER), failing])
    result = call("up")
    assert result.exit_code == 1
    assert "| no weights" in result.output
    assert "The rest runs without style" in result.output
    assert call("status").exit_code == 0


@pytest.mark.usefixtures("home")
def test_a_port_that_cannot_be_had_is_told_in_a_sentence(monkeypatch):
    monkeypatch.setenv("ATELIER_HOST", "192.0.2.1")  # no address of this machine
    monkeypatch.setenv("ATELIER_PORT", "20000")
    read_settings.cache_clear()
    result = call("up")
    assert result.exit_code == 1
    assert result.output.startswith("Port 20000 on 192.0.2.1 cannot be used")


def test_a_folder_that_another_stack_is_using_is_told_in_a_sentence(home: Path):
    home.mkdir()
    with lock_home(home):
        for command in ("up", "down", "status"):
            result = call(command)
            assert result.exit_code == 1
            assert "just starting" in result.output


def test_logs_of_all_programs_carry_their_names(home: Path):
    (home / "logs").mkdir(parents=True)
    (home / "logs" / "relay.log").write_text("one\ntwo [b]\n")
    (home / "logs" / "gateway.log").write_text("three\n")
    assert call("logs", "-n", "1").output == "gateway | three\nrelay   | two [b]\n"
    assert call("logs", "relay").output == "one\ntwo [b]\n"


def test_a_log_that_is_not_there_names_those_that_are(home: Path):
    (home / "logs").mkdir(parents=True)
    (home / "logs" / "relay.log").touch()
    result = call("logs", "nobody")
    assert result.exit_code == 1
    assert "no log of nobody. There are: relay." in result.output


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (66, "1m 6s"), (3600, "1h 0m"), (273_600.9, "3d 4h")]
)
def test_times_are_told_in_two_units(seconds: float, text: str):
    assert format_seconds(seconds) == text


FOREGROUND = """
import sys
from functools import partial
from services.local import commands
from services.local.__main__ import app
from services.local.programs import Program, Stage
from services.local.stack import start_stack

sleeper, journal = sys.argv[1:]
programs = [
    Program(name, (sys.executable, sleeper, name, journal, "0.3"), stage, start_seconds=0)
    for name, stage in [("late", Stage.WORKERS), ("first", Stage.BROKER)]
]
commands.start_stack = partial(start_stack, programs=programs)
app(["up", "--foreground"])
"""


@pytest.fixture
def foreground(home: Path, journal: Path, script, trio):
    _, sleeper, *_ = trio[0].command
    process = subprocess.Popen(
        [*script("foreground", FOREGROUND), sleeper, str(journal)],
        env={**os.environ, "ATELIER_HOME": str(home), "PYTHONPATH": str(Path.cwd())},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    with process:
        wait_for(lambda: journal.exists() and journal.read_text().count("started") == 2)
        yield process
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_foreground_ends_well_and_in_order_when_asked_to(foreground, home, number):
    stack = find_stack(Settings(home=home))
    assert stack is not None
    assert stack.state.session is not None
    wait_for_line(foreground, "Ctrl-C stops it.")
    os.killpg(foreground.pid, number)
    output, _ = foreground.communicate(timeout=30)
    assert foreground.returncode == 0
    assert output.splitlines() == ["Stopping ...", "late stopped", "first stopped"]
    assert list_session(stack.state.session) == []


def test_the_foreground_ends_when_another_command_stops_the_stack(foreground):
    wait_for_line(foreground, "Ctrl-C stops it.")
    assert call("down").exit_code == 0
    output, _ = foreground.communicate(timeout=30)
    assert (foreground.returncode, output) == (0, "Stopped by another command.\n")


def wait_for_line(process, text: str) -> None:
    while text not in (line := process.stdout.readline()):
        assert line, f"it ended without saying {text!r}"
