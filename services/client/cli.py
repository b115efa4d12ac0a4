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
    "detect": ("services.client.detect_commands", "register", "Find objects in photographs."),
    "jobs": ("services.client.jobs_commands", "app", "List, follow and cancel jobs."),
    "weights": ("services.client.weights_commands", "app", "Fetch and check pretrained files."),
    "keys": ("services.client.admin_commands", "app", "Make, rotate and revoke API keys."),
}


class LazyGroup(TyperGroup):
    """Lists commands by the summaries above, and imports the one that is run."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*COMMANDS, *super().list_commands(ctx)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        known = super().get_command(ctx, cmd_name)
        if known is None and cmd_name in COMMANDS:
            return TyperCommand(cmd_name, help=COMMANDS[cmd_name][2])
        return known

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] in COMMANDS:
            self.commands[args[0]] = load_command(args[0])
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


@app.callback()
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        from importlib.metadata import version as read_version

        typer.echo(read_version("atelier"))
        raise typer.Exit


def main() -> None:
    app(prog_name="atelier")


if __name__ == "__main__":
    main()
