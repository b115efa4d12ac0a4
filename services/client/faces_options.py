"""Arguments and options that several `atelier faces` commands have."""

from enum import StrEnum
from typing import Annotated

import typer

Collection = Annotated[str, typer.Argument(metavar="COLLECTION")]
Photos = Annotated[
    list[str], typer.Argument(metavar="PHOTO...", help="Files, folders or quoted globs.")
]
Json = Annotated[bool, typer.Option("--json", help="For programs: one JSON object per line.")]
Fpir = Annotated[
    float | None,
    typer.Option(
        "--fpir", min=1e-4, max=0.5, help="Of searches for strangers, so many may end with a name."
    ),
]
Scores = Annotated[bool, typer.Option("--scores", help="Also show scores (needs faces:scores).")]
Parallel = Annotated[int, typer.Option(min=1, max=256, help="Jobs under way at once.")]


class BackendName(StrEnum):
    local = "local"
    milvus = "milvus"


Backend = Annotated[BackendName, typer.Option(help="What searches the collection.")]
