"""What supervisor reads is what was meant."""

import os
import shlex
from pathlib import Path

import pytest
from supervisor.options import ServerOptions

from services.local.config import START_FOLDER, make_environment, write_config
from services.local.errors import StackError
from services.local.programs import Program, Stage, choose_workers, make_worker, plan_programs
from shared.settings import Settings


def read_config(text: str, home: Path, monkeypatch: pytest.MonkeyPatch):
    """The process groups as supervisor itself understands them, by name."""
    (home / "logs").mkdir()
    (home / "supervisord.conf").write_text(text)
    monkeypatch.chdir(home)
    monkeypatch.setenv(START_FOLDER, "/start 50% ;here")
    options = ServerOptions()
    options.realize(["-c", "supervisord.conf"])
    return {group.name: group for group in options.process_group_configs}


def test_workers_stop_before_services_and_these_before_the_broker(tmp_path, monkeypatch):
    programs = [
        make_worker("detect"),
        make_worker("faces"),
        Program("relay", ("true",), Stage.SERVICES),
        Program("valkey", ("true",), Stage.BROKER, directory="valkey"),
    ]
    groups = read_config(write_config(programs, tmp_path / "s"), tmp_path, monkeypatch)
    ordered = sorted(groups, key=lambda name: groups[name].priority)
    assert ordered == ["broker", "services", "workers"]
    assert [process.name for process in groups["workers"].process_configs] == ["detect", "faces"]


def test_a_worker_gets_time_to_finish_and_only_its_first_process_is_asked(tmp_path, monkeypatch):
    text = write_config([make_worker("detect")], tmp_path / "s")
    [detect] = read_config(text, tmp_path, monkeypatch)["workers"].process_configs
    assert detect.stopwaitsecs == 35
    assert (detect.stopasgroup, detect.killasgroup) == (False, True)
    assert shlex.split(detect.command)[-2:] == ["workers.runtime", "detect"]
    assert detect.stdout_logfile == "logs/detect.log"
    assert detect.stdout_logfile_maxbytes == 10 * 2**20


@pytest.mark.parametrize(
    "argument", ["a b", "100%", "a ;b", "a #b", 'quo"te', "it's", "back\\slash", "$HOME", "ü", ""]
)
def test_any_argument_reaches_the_program_unchanged(argument, tmp_path, monkeypatch):
    text = write_config([Program("x", ("run", argument), Stage.BROKER)], tmp_path / "s")
    [program] = read_config(text, tmp_path, monkeypatch)["broker"].process_configs
    assert shlex.split(program.command) == ["run", argument]


def test_programs_run_where_the_stack_was_started_whatever_the_folder_is_called(
    tmp_path, monkeypatch
):
    text = write_config([Program("x", ("run",), Stage.BROKER)], tmp_path / "s")
    [program] = read_config(text, tmp_path, monkeypatch)["broker"].process_configs
    assert program.directory == "/start 50% ;here"


def test_programs_know_the_stack_and_what_the_user_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = Settings(home=Path("state"), lease=7.0, DATABASE_URL="postgresql://db/x")
    base = {"HOME": "/root", "PYTHONPATH": f"extra{os.pathsep}/abs"}
    found = make_environment(settings, tmp_path / "state", 1234, "redis://broker", base)
    assert found["ATELIER_HOME"] == str(tmp_path / "state")
    assert found["ATELIER_PORT"] == "1234"
    assert found["ATELIER_LEASE"] == "7.0"
    assert found["DATABASE_URL"] == "postgresql://db/x"
    assert found["REDIS_URL"] == "redis://broker"
    assert found["OMP_NUM_THREADS"] == "1"
    assert found["HOME"] == "/root"
    assert found["PYTHONPATH"].split(os.pathsep)[1:] == [str(tmp_path / "extra"), "/abs"]


def test_a_database_that_nobody_chose_is_not_passed_on(tmp_path, monkeypatch):
    monkeypatch.delenv("DATABASE_URL", raising=False)
    assert "DATABASE_URL" not in make_environment(Settings(), tmp_path, 1, "redis://x", {})


@pytest.fixture
def extra_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two more folders: `echo` can run, `sketch` has a contract but no worker."""
    import workers

    for name, files in {"echo": ("contract", "worker"), "sketch": ("contract",)}.items():
        folder = tmp_path / "workers" / name
        folder.mkdir(parents=True)
        for file in ("__init__", *files):
            (folder / f"{file}.py").write_text("" if file != "worker" else "raise ImportError")
    monkeypatch.setattr(workers, "__path__", [*workers.__path__, str(tmp_path / "workers")])


@pytest.mark.usefixtures("extra_workers")
def test_every_folder_with_a_contract_and_a_worker_runs_and_none_is_imported():
    found = choose_workers("")
    assert "echo" in found
    assert not {"sketch", "runtime"} & set(found)


@pytest.mark.usefixtures("extra_workers")
def test_the_workers_that_run_can_be_chosen():
    assert choose_workers(" echo ,") == ["echo"]


@pytest.mark.usefixtures("extra_workers")
def test_an_unknown_worker_is_an_error_that_names_the_known_ones():
    with pytest.raises(StackError, match=r"names nobody.*Found: .*echo"):
        choose_workers("nobody")


@pytest.mark.usefixtures("extra_workers")
def test_a_given_broker_replaces_the_embedded_one():
    chosen = Settings(workers="echo")
    embedded = [program.name for program in plan_programs(chosen, 1234, embedded_broker=True)]
    given = [program.name for program in plan_programs(chosen, 1234, embedded_broker=False)]
    assert embedded == ["valkey", "gateway", "relay", "echo"]
    assert given == ["gateway", "relay", "echo"]
