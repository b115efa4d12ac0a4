"""`atelier style`: the commands on painting, from the files that hold them."""

import typer

from services.client import (
    style_apply_command,
    style_model_commands,
    style_training_command,
    style_transfer_command,
)
from services.client.default_command import DefaultCommand


class TransferOrCommand(DefaultCommand):
    default = "transfer"
    arguments = "CONTENT STYLE..."


app = typer.Typer(cls=TransferOrCommand)
for part in (
    style_transfer_command,
    style_apply_command,
    style_training_command,
    style_model_commands,
):
    app.add_typer(part.app)


@app.callback()
def style() -> None:
    """Paint a photo in the manner of other pictures, or train a network that does so at once.

    `atelier style cathedral.jpg mosaic.jpg --out painted.jpg` is short for `atelier style transfer
    cathedral.jpg mosaic.jpg --out painted.jpg`, whose --help has the options. A file with the name
    of a command is given as ./train.
    """
