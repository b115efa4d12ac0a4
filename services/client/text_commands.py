"""`atelier text`: the commands on text, from the files that hold them."""

import typer

from services.client import (
    text_embed_commands,
    text_encode_commands,
    text_ingest_command,
    text_model_commands,
    text_vocab_commands,
)

app = typer.Typer(help="Count words, encode text, train on it.", no_args_is_help=True)
app.add_typer(text_ingest_command.app)
app.add_typer(text_vocab_commands.app, name="vocab", no_args_is_help=True)
app.add_typer(text_encode_commands.app)
app.add_typer(text_embed_commands.app, name="embed", no_args_is_help=True)
app.add_typer(text_model_commands.app)
