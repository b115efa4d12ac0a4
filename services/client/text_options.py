"""Arguments and options that several `atelier text` commands have."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

Vocabulary = Annotated[str, typer.Argument(metavar="VOCABULARY")]
Model = Annotated[str, typer.Argument(metavar="MODEL", help="A name, or name@version.")]
Json = Annotated[bool, typer.Option("--json", help="For programs: one JSON object per line.")]
Version = Annotated[
    int | None, typer.Option(min=1, help="A frozen version; the newest unless given.")
]
Encoding = Annotated[str, typer.Option(help="How the bytes of files are read, such as cp1252.")]
Seed = Annotated[int, typer.Option(min=0, max=2**31)]

Corpus = Annotated[
    Path, typer.Argument(metavar="FILE|ZIP|FOLDER", help="The text to learn from; - for stdin.")
]
OfVocabulary = Annotated[
    str | None, typer.Option(help="Use the words of a frozen version, and its tokeniser.")
]
Curve = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Where the picture of the loss goes; MODEL-curve.png."),
]


class UnitName(StrEnum):
    words = "words"
    characters = "characters"
    chinese = "chinese"
    whitespace = "whitespace"


Unit = Annotated[UnitName | None, typer.Option(help="What a token is; words unless given.")]
KeepCase = Annotated[bool, typer.Option("--keep-case", help="Capital letters stay capital.")]
LettersOnly = Annotated[
    bool,
    typer.Option("--letters-only", help="Of characters: all but letters become one blank."),
]


def describe_tokeniser(
    unit: UnitName | None, keep_case: bool, letters_only: bool
) -> dict[str, Any] | None:
    """The tokeniser as a request has it; None if nothing was said about it."""
    if unit is None and not keep_case and not letters_only:
        return None
    return {
        "unit": unit or UnitName.words,
        "lower": not keep_case,
        "letters_only": letters_only,
    }
