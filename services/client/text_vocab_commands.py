"""`atelier text vocab ...`: look at vocabularies, freeze them, put them in order."""

from collections.abc import Iterator
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from services.client.client import Client
from services.client.console import connect, tell, write_json
from services.client.facts import format_time, show_facts, show_rows
from services.client.saved_files import check_writable, save_file
from services.client.text_options import Json, Vocabulary
from services.client.watch import run_task

app = typer.Typer(help="Look at vocabularies, freeze them, put them in order.")

PAGE = 1000  # words or documents asked for at a time

Limit = Annotated[int, typer.Option(min=1, help="At most this many.")]


class FileFormat(StrEnum):
    json = "json"
    tsv = "tsv"
    tokenizers = "tokenizers"


@app.command("list")
def list_vocabularies(as_json: Json = False) -> None:
    """List your vocabularies."""
    with connect() as client:
        views = run_task(client, "text.vocab.list", {})["vocabularies"]
    columns = ("vocabulary", "unit", "documents", "tokens", "words", "frozen versions")
    show_rows(columns, views, _make_row, as_json)


@app.command()
def rank(
    vocabulary: Vocabulary,
    words: Annotated[
        list[str] | None, typer.Argument(metavar="WORD...", help="Only these words.")
    ] = None,
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    """Show the most frequent words, or the ranks of given ones."""
    request = {"vocabulary": vocabulary, "words": words}
    with connect() as client:
        if words:
            ranked = run_task(client, "text.vocab.rank", request)["words"]
        else:
            pages = _read_pages(client, "text.vocab.rank", request, "words", limit)
            ranked = list(islice(pages, limit))
    show_rows(("rank", "word", "count", "share"), ranked, _make_word_row, as_json)


@app.command()
def freeze(
    vocabulary: Vocabulary,
    size: Annotated[
        int | None, typer.Option(min=1, help="How many of the most frequent; all unless given.")
    ] = None,
    min_count: Annotated[int, typer.Option(min=1, help="Rarer words are left out.")] = 1,
    as_json: Json = False,
) -> None:
    """Keep the most frequent words as a version whose indices never change."""
    request = {"vocabulary": vocabulary, "size": size, "min_count": min_count}
    with connect() as client:
        show_facts("text.vocab.freeze", run_task(client, "text.vocab.freeze", request), as_json)


@app.command()
def diff(
    vocabulary: Vocabulary,
    old: Annotated[int, typer.Argument(min=1, metavar="OLD")],
    new: Annotated[int, typer.Argument(min=1, metavar="NEW")],
    limit: Annotated[int, typer.Option(min=1, max=PAGE, help="Words named of each kind.")] = 10,
    as_json: Json = False,
) -> None:
    """Show what changed from one frozen version to another."""
    request = {"vocabulary": vocabulary, "old": old, "new": new, "limit": limit}
    with connect() as client:
        result = run_task(client, "text.vocab.diff", request)
    if not as_json:
        moved = result["moved_words"]
        result["moved_words"] = [f"{word['word']} {word['old']}→{word['new']}" for word in moved]
    show_facts("text.vocab.diff", result, as_json)


@app.command()
def merge(
    vocabulary: Vocabulary,
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE...")],
    as_json: Json = False,
) -> None:
    """Count the documents of other vocabularies too; one that is in both counts once."""
    request = {"vocabulary": vocabulary, "sources": sources}
    with connect() as client:
        show_facts("text.vocab.merge", run_task(client, "text.vocab.merge", request), as_json)


@app.command()
def export(
    vocabulary: Vocabulary,
    file: Annotated[Path, typer.Argument(metavar="FILE")],
    version: Annotated[
        int | None, typer.Option(min=1, help="A frozen version; all words unless given.")
    ] = None,
    format: Annotated[
        FileFormat, typer.Option(help="tokenizers: a tokenizer.json of Hugging Face.")
    ] = FileFormat.json,
    as_json: Json = False,
) -> None:
    """Write a vocabulary to a file."""
    request = {"vocabulary": vocabulary, "version": version, "format": format}
    check_writable(file)
    with connect() as client:
        result = run_task(client, "text.vocab.export", request)
        save_file(client, result["file"], file)
    if as_json:
        write_json({**result, "saved": str(file)})
    tell(f"Wrote {result['words']} words to {file}.")


@app.command()
def documents(vocabulary: Vocabulary, limit: Limit = 100, as_json: Json = False) -> None:
    """List the documents that were counted."""
    request = {"vocabulary": vocabulary}
    with connect() as client:
        pages = _read_pages(client, "text.vocab.documents", request, "documents", limit + 1)
        found = list(islice(pages, limit + 1))
    columns = ("document", "tokens", "words", "counted")
    show_rows(columns, found[:limit], _make_document_row, as_json)
    if len(found) > limit:
        tell(f"There are more: --limit {limit * 10} shows more.")


@app.command()
def remove(
    vocabulary: Vocabulary,
    names: Annotated[list[str], typer.Argument(metavar="DOCUMENT...")],
    as_json: Json = False,
) -> None:
    """Take documents out of a vocabulary: their words are counted down again."""
    request = {"vocabulary": vocabulary, "documents": names}
    with connect() as client:
        show_facts("text.remove", run_task(client, "text.remove", request), as_json)


@app.command()
def delete(
    vocabulary: Vocabulary,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Delete a vocabulary with its documents and frozen versions."""
    if not yes:
        typer.confirm(f"Delete the vocabulary {vocabulary}?", abort=True, err=True)
    with connect() as client:
        result = run_task(client, "text.vocab.delete", {"vocabulary": vocabulary})
    show_facts("text.vocab.delete", result, as_json)


def _read_pages(
    client: Client, task: str, request: dict[str, Any], items: str, wanted: int
) -> Iterator[dict[str, Any]]:
    """Every item, fetched a page at a time as they are asked for."""
    after: str | None = None
    while True:
        page = run_task(client, task, {**request, "limit": min(wanted, PAGE), "after": after})
        yield from page[items]
        after = page["next"]
        if after is None:
            return


def _make_row(view: dict[str, Any]) -> tuple[str, ...]:
    versions = (f"{frozen['version']} ({frozen['size']})" for frozen in view["versions"])
    return (
        view["vocabulary"],
        view["tokeniser"]["unit"],
        str(view["documents"]),
        str(view["tokens"]),
        str(view["words"]),
        ", ".join(versions),
    )


def _make_word_row(word: dict[str, Any]) -> tuple[str, ...]:
    place = "" if word["rank"] is None else str(word["rank"])
    return place, word["word"], str(word["count"]), f"{word['share']:.3%}"


def _make_document_row(document: dict[str, Any]) -> tuple[str, ...]:
    counted = format_time(document["counted_at"])
    return document["document"], str(document["tokens"]), str(document["words"]), counted
