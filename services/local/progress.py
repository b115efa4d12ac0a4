"""Shows a stack come up, one line per program."""

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from services.local.control import Stack
from services.local.readiness import Phase, watch_start


def show_start(stack: Stack, limit: float, console: Console) -> list[Phase]:
    """Like watch_start, and show it; without a terminal, one line when a program is ready."""
    if not console.is_terminal:
        return _tell_start(stack, limit, console)
    columns = (
        SpinnerColumn(finished_text="[green]✓"),
        TextColumn("{task.description}"),
        TextColumn("{task.fields[text]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        lines: dict[str, TaskID] = {}

        def show(phases: list[Phase]) -> None:
            for phase in phases:
                if phase.name not in lines:
                    lines[phase.name] = progress.add_task(phase.name, total=1, text="")
                colour = "red" if phase.failed else "green" if phase.ready else "yellow"
                progress.update(
                    lines[phase.name],
                    completed=int(phase.ready),
                    text=f"[{colour}]{escape(phase.text)}[/{colour}]",
                )

        return watch_start(stack, limit, show)


def _tell_start(stack: Stack, limit: float, console: Console) -> list[Phase]:
    told: set[str] = set()

    def tell(phases: list[Phase]) -> None:
        for phase in phases:
            if phase.ready and phase.name not in told:
                told.add(phase.name)
                console.print(f"{phase.name} ready")

    return watch_start(stack, limit, tell)
