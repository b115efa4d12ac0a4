"""`atelier text embed ...`: learn word vectors, look words up, draw them."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from services.client.console import connect, tell, write_json
from services.client.facts import show_facts, show_rows
from services.client.saved_files import check_writable, save_file
from services.client.text_corpus import send_corpus
from services.client.text_options import (
    Corpus,
    Curve,
    Encoding,
    Json,
    KeepCase,
    LettersOnly,
    Model,
    OfVocabulary,
    Seed,
    Unit,
    Version,
    describe_tokeniser,
)
from services.client.watch import run_task

app = typer.Typer(help="Learn word vectors, look words up, draw them.")

Words = Annotated[list[str], typer.Argument(metavar="WORD...")]
Limit = Annotated[int, typer.Option(min=1, max=100, help="How many.")]


class Method(StrEnum):
    skip_gram = "skip-gram"
    cbow = "cbow"


class FileFormat(StrEnum):
    text = "text"
    binary = "binary"


@app.command()
def train(
    corpus: Corpus,
    name: Annotated[str, typer.Option(help="The model's name; its version is counted.")] = "words",
    vocabulary: OfVocabulary = None,
    version: Version = None,
    method: Method = Method.skip_gram,
    dimensions: Annotated[int, typer.Option(min=2, max=1000)] = 100,
    window: Annotated[int, typer.Option(min=1, max=20, help="Words on each side, at most.")] = 5,
    negatives: Annotated[
        int, typer.Option(min=1, max=20, help="Random words for each true one.")
    ] = 5,
    epochs: Annotated[int, typer.Option(min=1, max=1000)] = 5,
    min_count: Annotated[int, typer.Option(min=1, help="Rarer words get no vector.")] = 5,
    max_words: Annotated[int, typer.Option(min=2, max=1_000_000)] = 100_000,
    subsample: Annotated[
        float, typer.Option(min=0, max=1, help="Frequent words are thinned; 0: not.")
    ] = 1e-3,
    learning_rate: Annotated[float, typer.Option(min=0, max=1)] = 0.025,
    seed: Seed = 0,
    encoding: Encoding = "utf-8",
    unit: Unit = None,
    keep_case: KeepCase = False,
    letters_only: LettersOnly = False,
    curve: Curve = None,
    picture: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where the drawn words go; MODEL-words.png."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Learn a vector for each word from the words around it.

    Ctrl-C stops the training on the server as well.
    """
    options = {
        "name": name,
        "vocabulary": vocabulary,
        "version": version,
        "method": method,
        "dimensions": dimensions,
        "window": window,
        "negatives": negatives,
        "epochs": epochs,
        "min_count": min_count,
        "max_words": max_words,
        "subsample": subsample,
        "learning_rate": learning_rate,
        "seed": seed,
        "encoding": encoding,
        "tokeniser": describe_tokeniser(unit, keep_case, letters_only),
    }
    for file in (curve or Path("model-curve.png"), picture or Path("model-words.png")):
        check_writable(file)
    with connect() as client:
        request = {"corpus": send_corpus(client, corpus), **options}
        result = run_task(client, "text.embed.train", request)
        model = result["model"]
        drawn = {
            "curve": save_file(client, result["curve"], curve or Path(f"{model}-curve.png")),
            "projection": save_file(
                client, result["projection"], picture or Path(f"{model}-words.png")
            ),
        }
    if as_json:
        write_json({**result, "saved": {name: str(path) for name, path in drawn.items()}})
        return
    show_facts("text.embed.train", {k: v for k, v in result.items() if k not in drawn}, as_json)
    tell(f"The loss is drawn in {drawn['curve']}, the words in {drawn['projection']}.")


@app.command()
def nearest(model: Model, words: Words, limit: Limit = 10, as_json: Json = False) -> None:
    """Show the words whose vectors point the same way as those of WORD..."""
    _show_nearest({"model": model, "positive": words, "limit": limit}, as_json)


@app.command()
def analogy(
    model: Model,
    first: Annotated[str, typer.Argument(metavar="A")],
    second: Annotated[str, typer.Argument(metavar="B")],
    third: Annotated[str, typer.Argument(metavar="C")],
    limit: Limit = 10,
    as_json: Json = False,
) -> None:
    """A is to B as C is to whom? Such as: man king woman."""
    request = {"model": model, "positive": [second, third], "negative": [first], "limit": limit}
    _show_nearest(request, as_json)


@app.command()
def lookup(model: Model, words: Words, as_json: Json = False) -> None:
    """Print the vectors of words: the word and its numbers on a line."""
    with connect() as client:
        request = {"model": model, "words": words}
        vectors = run_task(client, "text.embed.lookup", request)["vectors"]
    for word, vector in zip(words, vectors, strict=True):
        if as_json:
            write_json({"word": word, "vector": vector})
        elif vector is None:
            tell(f"{word} has no vector.")
        else:
            typer.echo(" ".join([word, *(f"{number:.6g}" for number in vector)]))


@app.command()
def project(
    model: Model,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="WORD...", help="The most frequent ones unless given."),
    ] = None,
    limit: Annotated[
        int, typer.Option(min=2, max=500, help="How many of the most frequent.")
    ] = 100,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where the picture goes; MODEL-words.png.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Draw words in the plane: their vectors' two principal components."""
    request = {"model": model, "words": words or None, "limit": limit}
    check_writable(picture or Path("model-words.png"))
    with connect() as client:
        result = run_task(client, "text.embed.project", request)
        default = Path(f"{result['model']}-words.png")
        saved = save_file(client, result["picture"], picture or default)
    if as_json:
        write_json({**result, "saved": str(saved)})
        return
    first, second = result["explained"]
    tell(f"{len(result['points'])} words are drawn in {saved}.")
    tell(f"The axes show {first:.0%} and {second:.0%} of the variance.")


@app.command()
def export(
    model: Model,
    file: Annotated[Path, typer.Argument(metavar="FILE")],
    format: FileFormat = FileFormat.text,
    as_json: Json = False,
) -> None:
    """Write the vectors to a file that word2vec, gensim and others read."""
    check_writable(file)
    with connect() as client:
        result = run_task(client, "text.embed.export", {"model": model, "format": format})
        save_file(client, result["file"], file)
    if as_json:
        write_json({**result, "saved": str(file)})
    tell(f"Wrote the vectors of {result['words']} words to {file}.")


def _show_nearest(request: dict[str, Any], as_json: bool) -> None:
    with connect() as client:
        neighbours = run_task(client, "text.embed.nearest", request)["neighbours"]
    show_rows(("word", "similarity"), neighbours, _make_row, as_json)


def _make_row(neighbour: dict[str, Any]) -> tuple[str, str]:
    return neighbour["word"], f"{neighbour['similarity']:.3f}"
