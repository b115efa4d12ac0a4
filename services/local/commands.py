"""The commands `up`, `down`, `status` and `logs` of the stack on this machine."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from services.local.control import Stack, clean_home, find_stack
from services.local.errors import StackError
from services.local.logs import find_logs, follow, read_last
from services.local.progress import show_start
from services.local.queues import count_queued
from services.local.readiness import READY_LIMIT, WORKERS, Phase, StartFailed, ask_gateway
from services.local.stack import start_stack
from shared.settings import Settings, read_settings

NOT_RUNNING = 3  # as `systemctl status` has it

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)


def register(app: typer.Typer) -> None:
    """Add the commands to the top level of an application."""
    for command in (up, down, status, logs):
        app.command()(command)


@contextmanager
def telling_errors() -> Iterator[None]:
    """Turn a StackError into a sentence on stderr and exit status 1."""
    try:
        yield
    except StackError as problem:
        errors.print(f"[red]{escape(str(problem))}[/red]", soft_wrap=True)
        raise typer.Exit(1) from problem


def up(
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Stay until Ctrl-C or SIGTERM, then stop.")
    ] = False,
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds until every program must be ready.")
    ] = READY_LIMIT,
) -> None:
    """Start everything on this machine and say where it answers."""
    settings = read_settings()
    with telling_errors():
        if stack := find_stack(settings):
            console.print(f"Already running: {stack.address}")
            show_access(stack)
            return
        with start_stack(settings, say=say) as stack:
            late = [phase for phase in show_start(stack, wait, console) if not phase.ready]
            judge(stack, late, foreground)
            show_access(stack)
            if foreground:
                stay(stack)
        if late:
            raise typer.Exit(1)


def judge(stack: Stack, late: list[Phase], foreground: bool) -> None:
    """Raise StartFailed, which stops the stack, unless it is of use without these programs."""
    if not late:
        return
    failure = StartFailed(stack, late)
    if any(phase.stage != WORKERS for phase in late):
        raise failure
    errors.print(f"[red]{escape(str(failure))}[/red]", soft_wrap=True)
    ending = "" if foreground else " `atelier down` stops it."
    console.print(f"The rest runs without {', '.join(failure.names)}.{ending}")


def stay(stack: Stack) -> None:
    """Return once the stack has ended, by Ctrl-C, SIGTERM, or from elsewhere."""
    console.print("Ctrl-C stops it.")
    try:
        while stack.is_alive():
            time.sleep(0.2)
    except (KeyboardInterrupt, SystemExit):
        console.print("Stopping ...")
        stack.stop(say)
        return
    if stack.stop(say):
        raise StackError(f"supervisord was killed; see {stack.home / 'logs'}.")
    console.print("Stopped by another command.")


def down() -> None:
    """Stop everything: the workers first, the broker last."""
    settings = read_settings()
    with telling_errors():
        stack = find_stack(settings)
        if stack:
            rest = stack.stop(say)
            home = stack.home
        else:
            home = settings.home.resolve()
            rest = clean_home(home)
            console.print(f"Nothing is running in {home}.", soft_wrap=True)
        if rest:
            console.print(f"{rest} leftover processes were ended.")


def status() -> None:
    """Show the programs and the queues; exit status 3 if nothing runs."""
    settings = read_settings()
    with telling_errors():
        stack = find_stack(settings)
        if stack is None:
            console.print(f"Not running (state folder {settings.home.resolve()}).", soft_wrap=True)
            raise typer.Exit(NOT_RUNNING)
        show_programs(stack, settings)


def show_programs(stack: Stack, settings: Settings) -> None:
    answer = ask_gateway(stack.address)
    queued = count_queued(settings.database)
    table = Table("program", "state", "pid", "up", "processes", "queued", box=None)
    for process in stack.processes():
        worker = process.stage == WORKERS
        colour = "green" if process.state == "RUNNING" else "red"
        table.add_row(
            process.name,
            f"[{colour}]{process.state.lower()}[/{colour}]",
            str(process.pid or "-"),
            format_seconds(time.time() - process.started) if process.pid else "-",
            str(answer.workers.get(process.name, 0)) if worker and answer else "",
            str(queued.get(process.name, 0)) if worker and queued is not None else "",
        )
    console.print(table)
    console.print(f"{stack.address}  {answer.status if answer else 'does not answer'}")
    for check, state in answer.checks.items() if answer else ():
        if state != "ok":
            console.print(f"[red]{escape(f'{check}: {state}')}[/red]")


def logs(
    program: Annotated[str, typer.Argument(help="One program; empty: all of them.")] = "",
    keep_on: Annotated[bool, typer.Option("-f", "--follow", help="Show new lines too.")] = False,
    count: Annotated[int, typer.Option("-n", "--lines", min=0, help="Lines of each log.")] = 50,
) -> None:
    """Show what the programs wrote."""
    with telling_errors():
        found = find_logs(read_settings().home.resolve())
        if program and program not in found:
            raise StackError(
                f"There is no log of {program}. There are: {', '.join(found) or 'none yet'}."
            )
        chosen = {program: found[program]} if program else found
        width = 0 if program else max(map(len, chosen), default=0)
        for name, path in chosen.items():
            for line in read_last(path, count):
                show_line(name, line, width)
        if keep_on:
            for name, line in follow(chosen):
                show_line(name, line, width)


def show_line(name: str, line: str, width: int) -> None:
    prefix = f"{name:{width}} | " if width else ""
    console.print(prefix + line, markup=False, soft_wrap=True)


def show_access(stack: Stack) -> None:
    console.print(f"Address  {stack.address}\nKey      {stack.api_key}", soft_wrap=True)


def say(text: str) -> None:
    console.print(text, soft_wrap=True)


def format_seconds(seconds: float) -> str:
    """As 3d 4h, 4h 5m, 5m 6s or 6s."""
    rest = max(0, int(seconds))
    parts = [
        (rest // 86400, "d"),
        (rest // 3600 % 24, "h"),
        (rest // 60 % 60, "m"),
        (rest % 60, "s"),
    ]
    while len(parts) > 1 and parts[0][0] == 0:
        parts.pop(0)
    return " ".join(f"{number}{unit}" for number, unit in parts[:2])
