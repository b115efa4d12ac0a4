"""Shows a batch as it goes: a bar on stderr, a row on stdout for each result, failures last."""

import sys
from collections.abc import Callable, Sequence
from types import TracebackType

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from services.client.batch import Outcome
from services.client.console import tell

PHOTO_WIDTH = 40  # characters, on a terminal; half of it beside several columns
TOOK_WIDTH = 9  # at least, so that columns of short and long times are aligned

Describe = Callable[[Outcome], str]
Export = Callable[[Outcome], str | None]


class Report:
    """Rows are written as results come, so a batch of any size needs no more memory.

    `describe` says in a few words what was found; each line of it is a row, with tabs between its
    `columns`. With `export`, standard output is for a program: it gets the lines `export` makes and
    nothing else.
    """

    def __init__(
        self,
        total: int,
        title: str,
        describe: Describe,
        export: Export | None = None,
        columns: Sequence[str] = ("found",),
    ) -> None:
        self.describe = describe
        self.columns = columns
        self.export = export
        self.title = title
        self.failures: list[tuple[str, str]] = []
        self._count = 0
        self._rows = 0
        self._to_terminal = sys.stdout.isatty()
        # A bar between bare lines on one terminal would spoil both.
        hidden = not sys.stderr.isatty() or (export is not None and self._to_terminal)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[failed]}", style="red"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            redirect_stdout=False,  # it would send results to stderr
            disable=hidden,
        )
        self._task = self._bar.add_task(title, total=total, failed="")

    def __enter__(self) -> "Report":
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def add(self, outcome: Outcome) -> None:
        self._count += 1
        if outcome.reason:
            self.failures.append((str(outcome.photo), outcome.reason))
        if self.export is not None:
            line = self.export(outcome)
            if line is not None:
                typer.echo(line)
        elif not outcome.reason:
            for found in self.describe(outcome).splitlines():
                self._write_row(outcome, found)
        failed = f"{len(self.failures)} failed" if self.failures else ""
        self._bar.update(self._task, advance=1, failed=failed)

    def finish(self) -> None:
        for photo, reason in self.failures:
            tell(f"{photo}: {reason}")
        if self.failures:
            tell(f"{len(self.failures)} of {self._count} failed.")

    def _write_row(self, outcome: Outcome, found: str) -> None:
        took = f"{outcome.seconds:.2f} s"
        if not self._to_terminal:
            typer.echo(f"{outcome.photo}\t{found}\t{took}")
            return
        # Above the bar if there is one: it is on the same screen.
        console = Console() if self._bar.disable else self._bar.console
        if self._rows == 0:
            console.print(_lay_out("photo", self.columns, "took"), style="bold")
        self._rows += 1
        console.print(_lay_out(str(outcome.photo), found.split("\t"), took))


def _lay_out(photo: str, found: Sequence[str], took: str) -> Table:
    """One row; every row is a table of its own, so that none has to be kept."""
    width = PHOTO_WIDTH if len(found) == 1 else PHOTO_WIDTH // 2
    row = Table.grid(padding=(0, 2), expand=True)
    row.add_column(width=width)
    for _ in found:
        row.add_column(ratio=1, overflow="fold")  # a file is named in full
    row.add_column(justify="right", min_width=TOOK_WIDTH)
    row.add_row(Text(_shorten(photo, width)), *map(Text, found), Text(took))
    return row


def _shorten(path: str, width: int) -> str:
    """The end of a long path, where photos differ."""
    return path if len(path) <= width else "…" + path[1 - width :]
