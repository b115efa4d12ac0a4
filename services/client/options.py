"""Options that the commands of several workers have."""

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="For programs: one JSON object per line.")]
Name = Annotated[str, typer.Option(help="The model's name; its version is counted.")]
Parallel = Annotated[int, typer.Option(min=1, max=256, help="Jobs under way at once.")]
