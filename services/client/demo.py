"""`atelier demo`: from an empty folder to results of every worker, in one command."""

import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from services.client.client import Client
from services.client.console import SOME_FAILED, leave, tell, write_table
from services.client.demos import DEMOS
from services.client.demos.scene import Demo, DemoFailed, Row, Scene
from services.client.problems import ClientError
from services.client.weights_commands import pull_files
from services.local.control import Stack, find_stack
from services.local.errors import StackError
from services.local.stack import running_stack
from shared.settings import Settings, read_settings
from shared.weights import DamagedWeights, MissingWeights, locate


def register(app: typer.Typer) -> None:
    app.command()(demo)


def demo() -> None:
    """Start Atelier if it is not running, run real jobs of every worker, show the results."""
    started = time.monotonic()
    settings = read_settings()
    pull_missing(DEMOS, settings.weights)
    folder = settings.home.resolve() / "demo"
    own = find_stack(settings) is None
    try:
        with open_stack(settings) as stack, Client(stack.address, stack.api_key) as client:
            folder.mkdir(exist_ok=True)
            scene = Scene(client, settings.weights, folder, own)
            rows = run_demos(DEMOS, scene)
            columns = ("worker", "input", "result", "took")
            write_table(columns, [(w, r.what, r.result, f"{r.seconds:.2f} s") for w, r in rows])
    except (DemoFailed, ClientError, StackError, OSError) as error:
        raise leave(f"The demo failed: {error}", SOME_FAILED) from error
    tell(f"The pictures are in {folder}")
    tell(f"{len(rows)} jobs succeeded. Everything took {time.monotonic() - started:.1f} s.")


def pull_missing(demos: tuple[Demo, ...], folder: Path) -> None:
    """Fetch the files of the demos that are not here, showing how far it is."""
    names = dict.fromkeys(name for demo in demos for name in demo.files)
    missing = [name for name in names if not _is_here(name, folder)]
    if missing:
        tell(f"Fetching {len(missing)} files, once.")
        pull_files(missing)


def _is_here(name: str, folder: Path) -> bool:
    try:
        locate(name, folder)
    except (MissingWeights, DamagedWeights):
        return False
    return True


@contextmanager
def open_stack(settings: Settings) -> Iterator[Stack]:
    """The stack that runs here and goes on, or one that is stopped afterwards."""
    running = find_stack(settings)
    if running is not None:
        tell(f"Using the stack that runs at {running.address}.")
        yield running
        return
    tell("Starting Atelier; loading the models takes a moment.")
    with running_stack() as stack:
        tell(f"Atelier is ready at {stack.address}.")
        yield stack
        tell("Stopping Atelier.")


def run_demos(demos: tuple[Demo, ...], scene: Scene) -> list[tuple[str, Row]]:
    """(worker, row) for every job."""
    rows = []
    with make_bars() as bars:
        for demo in demos:
            bar = bars.add_task(demo.worker, total=demo.jobs)
            with closing(demo.run(scene)) as results:  # Ctrl-C: cancels jobs before all else ends
                for row in results:
                    rows.append((demo.worker, row))
                    bars.advance(bar)
            bars.update(bar, total=bars.tasks[bar].completed)  # it may be fewer
    return rows


def make_bars() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        redirect_stdout=False,  # it would send results to stderr
        disable=not sys.stderr.isatty(),
    )
