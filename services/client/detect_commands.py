"""`atelier detect`: the commands on objects, from the files that hold them."""

from typing import Any

import typer
from typer.core import TyperGroup

from services.client import (
    detect_model_commands,
    detect_objects_command,
    detect_stream_command,
    detect_training_commands,
)


class PhotosOrCommand(TyperGroup):
    """`objects` is meant where no command is named: `atelier detect PHOTO...`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or args[0] not in {*self.commands, *ctx.help_option_names}:
            args = ["objects", *args]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, _: Any) -> list[str]:
        return ["PHOTO... [OPTIONS]", "|", "COMMAND [ARGS]..."]


app = typer.Typer(cls=PhotosOrCommand)
for part in (
    detect_objects_command,
    detect_stream_command,
    detect_training_commands,
    detect_model_commands,
):
    app.add_typer(part.app)


@app.callback()
def detect() -> None:
    """Find objects in photographs and videos, and train a detector of your own.

    PHOTO... are files, folders or quoted globs: `atelier detect 'photos/*.jpg' --save out` is
    short for `atelier detect objects 'photos/*.jpg' --save out`, whose --help has the options.
    A folder with the name of a command is given as ./train.
    """
