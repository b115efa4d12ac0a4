"""`atelier detect`: the commands on objects, from the files that hold them."""

import typer

from services.client import (
    detect_model_commands,
    detect_objects_command,
    detect_stream_command,
    detect_training_commands,
)
from services.client.default_command import DefaultCommand


class ObjectsOrCommand(DefaultCommand):
    default = "objects"


app = typer.Typer(cls=ObjectsOrCommand)
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
