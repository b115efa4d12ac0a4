"""Writes the configuration and the environment that supervisor runs a stack with."""

import os
import re
import resource
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

import services
from services.local.errors import StackError
from services.local.programs import Program
from shared.settings import Settings

# The folder that the stack was started from: settings with relative paths mean that one.
START_FOLDER = "ATELIER_START_FOLDER"
MAX_FILES = 8192  # an open event stream is one; shells often allow only 1024


def write_config(programs: Sequence[Program], socket: Path) -> str:
    """The text of supervisord.conf; supervisord has to be started inside the state folder.

    Paths in it are relative or come from the environment, because in this format some names
    (" ;" or "%" in a folder) cannot be written.
    """
    lines = [
        "[supervisord]",
        "logfile = logs/supervisord.log",
        "logfile_maxbytes = 10MB",
        "logfile_backups = 3",
        "pidfile = supervisord.pid",
        "nocleanup = true",
        "umask = 077",
        f"minfds = {count_files()}",
        *(["user = root"] if os.getuid() == 0 else []),  # as whoever started it, knowingly
        "[unix_http_server]",
        f"file = {_escape(str(socket))}",
        "chmod = 0600",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface",
    ]
    ordered = sorted(programs, key=lambda program: program.stage)
    for stage, members in groupby(ordered, key=lambda program: program.stage):
        names = []
        for program in members:
            names.append(program.name)
            lines += _write_program(program)
        # supervisor stops group after group, and the members of a group together
        lines += [f"[group:{stage.name.lower()}]", f"programs = {','.join(names)}"]
        lines += [f"priority = {int(stage)}"]
    return "\n".join(lines) + "\n"


def _write_program(program: Program) -> list[str]:
    return [
        f"[program:{program.name}]",
        f"command = {' '.join(map(_quote, program.command))}",
        f"directory = {program.directory or f'%(ENV_{START_FOLDER})s'}",
        f"priority = {int(program.stage)}",
        "autostart = true",
        "autorestart = true",
        f"startsecs = {program.start_seconds}",
        "startretries = 20",  # over three minutes: a database that restarts is back by then
        f"stopwaitsecs = {program.stop_seconds}",
        # SIGTERM goes to the first process only: a pool stops its own processes, in its order,
        # once they finished their work. SIGKILL goes to all of them.
        "stopasgroup = false",
        "killasgroup = true",
        "redirect_stderr = true",
        f"stdout_logfile = logs/{program.name}.log",
        "stdout_logfile_maxbytes = 10MB",
        "stdout_logfile_backups = 3",
    ]


def _quote(argument: str) -> str:
    """An argument as supervisor splits it; backslashes, as ` ;` would start a comment."""
    if "\n" in argument:
        raise StackError(f"A program cannot be given a line break: {argument!r}")
    return _escape(re.sub(r"([^\w@%+=:,./-])", r"\\\1", argument) or "''")


def _escape(text: str) -> str:
    return text.replace("%", "%%")


def count_files() -> int:
    """How many files each program may have open: no more than this machine lets us ask for."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_FILES if hard == resource.RLIM_INFINITY else min(MAX_FILES, hard)


def make_environment(
    settings: Settings, home: Path, port: int, redis_url: str, base: Mapping[str, str]
) -> dict[str, str]:
    """The variables every program sees: those of `base`, and the settings of this stack."""
    code = str(Path(services.__file__).parents[1])  # runs from a checkout too
    given = [str(Path(entry).absolute()) for entry in _split_path(base.get("PYTHONPATH", ""))]
    return {
        "OMP_NUM_THREADS": "1",  # processes share the processors; threads would only compete
        **base,
        **_name_settings(settings),
        START_FOLDER: str(Path.cwd()),
        "ATELIER_HOME": str(home),
        "ATELIER_PORT": str(port),
        "REDIS_URL": redis_url,
        "PYTHONPATH": os.pathsep.join([code, *(entry for entry in given if entry != code)]),
        "PYTHONUNBUFFERED": "1",  # a log line is there when it is written
    }


def _split_path(text: str) -> list[str]:
    return [entry for entry in text.split(os.pathsep) if entry]


def _name_settings(settings: Settings) -> dict[str, str]:
    """The settings that somebody made, under the names of their variables."""
    named = {}
    for name in settings.model_fields_set:
        alias = Settings.model_fields[name].validation_alias
        value = getattr(settings, name)
        named[str(alias) if alias else f"ATELIER_{name.upper()}"] = (
            "" if value is None else str(value)
        )
    return named
