"""`atelier weights`: fetch, list and check the pretrained files."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Column, Table

from shared.downloads import Downloads
from shared.settings import read_settings
from shared.weights import (
    DamagedWeights,
    Kind,
    MissingWeights,
    PinnedFile,
    WeightsError,
    load_catalog,
    locate,
    pull,
    verify,
)

app = typer.Typer(help="Fetch, list and check the pretrained files.", no_args_is_help=True)
output = Console()
errors = Console(stderr=True)

Names = Annotated[
    list[str] | None, typer.Argument(help="File names; none means all that are not optional.")
]
KindOption = Annotated[Kind | None, typer.Option("--kind", help="Only files of this kind.")]


@app.command("pull")
def pull_files(names: Names = None, kind: KindOption = None) -> None:
    """Fetch files that are missing or damaged."""
    folder = read_settings().weights
    with _failing_cleanly():
        wanted = [file for file in _choose(names, kind) if names or not file.optional]
        folder.mkdir(parents=True, exist_ok=True)
        with _progress_bars() as bars, Downloads(folder) as downloads:
            for file in wanted:
                _pull_with_bar(file, folder, bars, downloads)
    output.print(f"{len(wanted)} files are ready in {folder}", soft_wrap=True)


@app.command("list")
def list_files(kind: KindOption = None) -> None:
    """Show every file, its licence, and whether it is here."""
    name = Column("name", no_wrap=True)
    table = Table(name, "kind", "size", "here", "licence", "what it is", box=None)
    for file in _choose(None, kind):
        table.add_row(
            file.name, file.kind, decimal(file.bytes), _state(file), file.licence, file.summary
        )
    output.print(table)


@app.command("verify")
def verify_files(names: Names = None, kind: KindOption = None) -> None:
    """Read files again and compare their hashes; without names, the files that are here."""
    folder = read_settings().weights
    bad = 0
    with _failing_cleanly():
        for file in _choose(names, kind):
            try:
                verify(file.name, folder)
                output.print(f"{file.name}: intact")
            except MissingWeights as error:
                bad += bool(names)
                output.print(str(error), soft_wrap=True)
            except DamagedWeights as error:
                bad += 1
                output.print(str(error), soft_wrap=True)
    if bad:
        raise typer.Exit(1)


def _choose(names: list[str] | None, kind: Kind | None) -> list[PinnedFile]:
    catalog = load_catalog()
    files = [catalog.find(name) for name in names] if names else list(catalog.files)
    return [file for file in files if kind is None or file.kind == kind]


def _state(file: PinnedFile) -> str:
    try:
        locate(file.name, read_settings().weights)
    except MissingWeights:
        return "no, optional" if file.optional else "no"
    except DamagedWeights:
        return "damaged"
    return "yes"


def _pull_with_bar(file: PinnedFile, folder: Path, bars: Progress, downloads: Downloads) -> None:
    bar = bars.add_task(file.name, total=None)

    def show(done: int, total: int) -> None:
        bars.update(bar, completed=done, total=total)

    pull(file.name, folder, show, downloads)
    show(file.bytes, file.bytes)  # also when it was here already or came in a shared archive


def _progress_bars() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=errors,
    )


@contextmanager
def _failing_cleanly() -> Iterator[None]:
    """Show what a person can act on, not a traceback."""
    try:
        yield
    except (WeightsError, OSError) as error:
        errors.print(str(error), style="red", soft_wrap=True, markup=False)
        raise typer.Exit(1) from error
