"""`atelier faces`: the commands on faces, from the files that hold them."""

import typer

from services.client import (
    faces_collection_commands,
    faces_enroll_command,
    faces_model_commands,
    faces_photo_commands,
    faces_upkeep_commands,
)

app = typer.Typer(help="Find, compare and recognise faces.", no_args_is_help=True)
for part in (
    faces_photo_commands,
    faces_collection_commands,
    faces_enroll_command,
    faces_upkeep_commands,
    faces_model_commands,
):
    app.add_typer(part.app)
