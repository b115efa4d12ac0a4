"""What every command shares: exit codes, output for people and for programs, a connection."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from services.client.client import Client

SOME_FAILED, USAGE, NO_SERVER = 1, 2, 3


def tell(text: str) -> None:
    """One line for the person; standard output stays for results."""
    typer.echo(text, err=True)


def write_json(value: dict[str, Any]) -> None:
    typer.echo(format_json(value))


def format_json(value: dict[str, Any]) -> str:
    """One JSON object on one line."""
    return json.dumps(value, ensure_ascii=False)


def write_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table on a terminal; elsewhere lines of values separated by tabs."""
    if not sys.stdout.isatty():
        for row in rows:
            typer.echo("\t".join(row))
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)


def leave(text: str, code: int) -> typer.Exit:
    """Says why, and gives what to raise."""
    tell(text)
    return typer.Exit(code)


@contextmanager
def connect() -> Iterator["Client"]:
    """A client for one command; what goes wrong becomes a sentence and an exit code."""
    from services.client.client import Client
    from services.client.problems import ClientError, NotConfigured, Problem, Unreachable

    try:
        with Client() as client:
            client.check()  # no server: say so now, not after the client's patience
            yield client
    except (NotConfigured, Unreachable) as error:
        raise leave(str(error), NO_SERVER) from error
    except Problem as problem:
        code = NO_SERVER if problem.unauthorised else SOME_FAILED
        raise leave(str(problem), code) from problem
    except (ClientError, TimeoutError) as error:
        raise leave(str(error), SOME_FAILED) from error
