"""`atelier text encode | decode | features`: text and facts about people as numbers, and back."""

import json
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Annotated, Any

import typer

from services.client.console import USAGE, connect, leave, write_json, write_table
from services.client.text_lines import group_items, read_lines
from services.client.text_options import Json, Version, Vocabulary
from services.client.watch import run_task

app = typer.Typer()

PEOPLE = 1000  # of one request

Texts = Annotated[
    list[str] | None,
    typer.Argument(metavar="TEXT...", help="Unless given, each line of standard input is one."),
]


class Form(StrEnum):
    indices = "indices"
    one_hot = "one-hot"
    counts = "counts"


class Side(StrEnum):
    right = "right"
    left = "left"


@app.command()
def encode(
    vocabulary: Vocabulary,
    texts: Texts = None,
    version: Version = None,
    form: Annotated[
        Form, typer.Option(help="one-hot: token:column of each one; counts: index:count.")
    ] = Form.indices,
    drop_unknown: Annotated[
        bool, typer.Option("--drop-unknown", help="Leave unknown words out; they are 0 otherwise.")
    ] = False,
    length: Annotated[
        int | None, typer.Option(min=1, help="Cut or fill up with zeros to so many tokens.")
    ] = None,
    pad: Annotated[Side, typer.Option(help="Where zeros are filled in.")] = Side.right,
    truncate: Annotated[Side, typer.Option(help="Which end is cut off.")] = Side.right,
    as_json: Json = False,
) -> None:
    """Turn texts into the indices of a frozen vocabulary: a line for each text."""
    name = form.name  # as the field of the result is called
    options = {
        "vocabulary": vocabulary,
        "version": version,
        "form": name,
        "unknown": "ignore" if drop_unknown else "zero",
        "length": length,
        "pad": pad,
        "truncate": truncate,
    }
    with connect() as client:
        for group in group_items(read_lines(texts)):
            result = run_task(client, "text.encode", {**options, "texts": group})
            for number, text in enumerate(group):
                item = result[name][number]
                if as_json:
                    facts = {key: result[key] for key in ("vocabulary", "version")}
                    counts = {key: result[key][number] for key in ("lengths", "unknown")}
                    write_json({"text": text, name: item, **facts, **counts})
                else:
                    typer.echo(_write_item(item))


@app.command()
def decode(
    vocabulary: Vocabulary,
    indices: Annotated[
        list[str] | None,
        typer.Argument(metavar="INDEX...", help="Unless given, lines of them on standard input."),
    ] = None,
    version: Version = None,
    as_json: Json = False,
) -> None:
    """Turn indices back into words: a line for each sequence."""
    lines = read_lines([" ".join(indices)] if indices else None)
    with connect() as client:
        for sequences in group_items(map(_read_sequence, lines)):
            request = {"vocabulary": vocabulary, "version": version, "sequences": sequences}
            result = run_task(client, "text.decode", request)
            for tokens, text in zip(result["tokens"], result["texts"], strict=True):
                if as_json:
                    write_json({"text": text, "tokens": tokens})
                else:
                    typer.echo(text)


@app.command()
def features(
    age: Annotated[float | None, typer.Option(min=0, max=150, help="Years.")] = None,
    sex: Annotated[int | None, typer.Option(min=0, max=1, help="0 male, 1 female.")] = None,
    country: Annotated[
        str, typer.Option(help="A code of two letters such as GB, or 1 to 197; 0: not given.")
    ] = "0",
    as_json: Json = False,
) -> None:
    """Turn facts about people into vectors of 199 numbers: age, sex, country one-hot.

    Without --age and --sex, each line of standard input is a JSON object with these names.
    """
    if (age is None) != (sex is None):
        raise leave("Give both --age and --sex, or people as JSON lines on stdin.", USAGE)
    if age is None:
        people: Iterable[Any] = map(_read_person, read_lines(None))
    else:
        people = [{"age": age, "sex": sex, "country": _read_country(country)}]
    with connect() as client:
        rows = []
        for group in group_items(people, PEOPLE):
            result = run_task(client, "text.features", {"people": group})
            for vector, name in zip(result["vectors"], result["countries"], strict=True):
                if as_json:
                    write_json({"vector": vector, "country": name})
                rows.append((name or "", " ".join(_list_nonzero(vector))))
        if not as_json:
            write_table(("country", "position:number, zeros left out"), rows)


def _write_item(item: Any) -> str:
    """Indices, or pairs of numbers, with blanks between."""
    if isinstance(item, list):
        return " ".join(map(str, item))
    first, second = ("rows", "columns") if "rows" in item else ("indices", "counts")
    return " ".join(f"{a}:{b}" for a, b in zip(item[first], item[second], strict=True))


def _list_nonzero(vector: list[float]) -> Iterator[str]:
    return (f"{position}:{number:g}" for position, number in enumerate(vector) if number)


def _read_sequence(line: str) -> list[int]:
    try:
        return [int(index) for index in line.split()]
    except ValueError as error:
        raise leave(f"{line[:80]!r} are not indices with blanks between.", USAGE) from error


def _read_person(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise leave(f"{line[:80]!r} is not a JSON object with age and sex.", USAGE) from error


def _read_country(text: str) -> int | str:
    return int(text) if text.isdecimal() else text.upper()
