"""The `atelier` command; each sub-command is imported only when it is used."""

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

# name: (module, the Typer app in it or a function that adds commands to one, summary)
COMMANDS = {
    "demo": ("services.client.demo", "register", "Start everything, run real jobs, show results."),
    "up": ("services.local.commands", "register", "Start Atelier on this machine."),
    "down": ("services.local.commands", "register", "Stop it."),
    "status": ("services.local.commands", "register", "Show what is running."),
    "logs": ("services.local.commands", "register", "Show what the processes say."),
    "detect": (
        "services.client.detect_commands",
        "app",
        "Find objects in photographs and videos, train on your own.",
    ),
    "faces": ("services.client.faces_commands", "app", "Find, compare and recognise faces."),
    "segment": (
        "services.client.segment_commands",
        "app",
        "Give every pixel of photographs a class, train on your own.",
    ),
    "style": (
        "services.client.style_commands",
        "app",
        "Paint photographs in the manner of other pictures.",
    ),
    "text": (
        "services.client.text_commands",
        "app",
        "Count words, encode text, train on it.",
    ),
    "jobs": ("services.client.jobs_commands", "app", "List, follow and cancel jobs."),
    "weights": ("services.client.weights_commands", "app", "Fetch and check pretrained files."),
    "keys": ("services.client.admin_commands", "app", "Make, rotate and revoke API keys."),
}


class LazyGroup(TyperGroup):
    """Lists commands by the summaries above, and imports the one that is run."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, (_, _, summary) in COMMANDS.items():
            self.add_command(TyperCommand(name, help=summary))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] in COMMANDS:
            self.add_command(load_command(args[0]))
        return super().resolve_command(ctx, args)


def load_command(name: str) -> Any:
    module, attribute, _ = COMMANDS[name]
    found = getattr(import_module(module), attribute)
    scratch = typer.Typer()
    if isinstance(found, typer.Typer):
        scratch.add_typer(found, name=name)
    else:
        found(scratch)
    return get_group(scratch).commands[name]


app = typer.Typer(
    cls=LazyGroup,
    help="A self-hosted workshop for vision and text jobs.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # they would print API keys
    context_settings={"help_option_names": ["-h", "--help"]},
)


def print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("atelier"))
        raise typer.Exit


@app.callback()
def root(
    _: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=print_version, is_eager=True),
    ] = False,
) -> None:
    """Options that need no command."""


def main() -> None:
    app(prog_name="atelier")


if __name__ == "__main__":
    main()
