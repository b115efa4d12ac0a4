"""`python -m services.local up`: the commands without the rest of `atelier`."""

import typer

from services.local.commands import register

app = typer.Typer(help="Runs Atelier on this machine.", no_args_is_help=True)
register(app)

if __name__ == "__main__":
    app()
