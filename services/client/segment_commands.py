"""`atelier segment`: the commands on what every pixel shows, from the files that hold them."""

import typer

from services.client import (
    segment_model_commands,
    segment_pixels_command,
    segment_training_commands,
)
from services.client.default_command import DefaultCommand


class PixelsOrCommand(DefaultCommand):
    default = "pixels"


app = typer.Typer(cls=PixelsOrCommand)
for part in (segment_pixels_command, segment_training_commands, segment_model_commands):
    app.add_typer(part.app)


@app.callback()
def segment() -> None:
    """Give every pixel of photographs a class, and train a network of your own.

    PHOTO... are files, folders or quoted globs: `atelier segment 'streets/*.jpg' --out found` is
    short for `atelier segment pixels 'streets/*.jpg' --out found`, whose --help has the options.
    A folder with the name of a command is given as ./train.
    """
