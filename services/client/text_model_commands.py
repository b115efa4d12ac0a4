"""`atelier text train | generate | classify | models | promote`: recurrent networks."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from services.client.console import connect, tell, write_json, write_table
from services.client.facts import format_time, show_facts, show_rows
from services.client.saved_files import check_writable, save_file
from services.client.text_corpus import send_corpus
from services.client.text_lines import group_items, read_lines
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

app = typer.Typer()

MEASURED = (  # the first two that a model has are listed
    "held_out_perplexity",
    "held_out_accuracy",
    "held_out_macro_f1",
    "perplexity",
    "accuracy",
    "macro_f1",
    "loss",
)


class Kind(StrEnum):
    language = "language"
    classifier = "classifier"


class Cell(StrEnum):
    rnn = "rnn"
    gru = "gru"
    lstm = "lstm"


class Batches(StrEnum):
    sequential = "sequential"
    random = "random"


class Optimiser(StrEnum):
    adam = "adam"
    sgd = "sgd"


@app.command()
def train(
    corpus: Corpus,
    kind: Kind = Kind.language,
    name: Annotated[str, typer.Option(help="The model's name; its version is counted.")] = "model",
    vocabulary: OfVocabulary = None,
    version: Version = None,
    max_words: Annotated[
        int, typer.Option(min=1, max=200_000, help="Rarer ones become <unk>.")
    ] = 10_000,
    min_count: Annotated[int, typer.Option(min=1, help="Rarer words become <unk>.")] = 1,
    cell: Cell = Cell.lstm,
    hidden: Annotated[int, typer.Option(min=1, max=2048, help="Units of a layer.")] = 256,
    layers: Annotated[int, typer.Option(min=1, max=4)] = 1,
    bidirectional: Annotated[
        bool, typer.Option("--bidirectional", help="Of a classifier: read both ways.")
    ] = False,
    embedding: Annotated[
        int | None, typer.Option(min=1, max=2048, help="Numbers for a token; none: one-hot.")
    ] = None,
    tied: Annotated[
        bool,
        typer.Option("--tied", help="Of a language model: output and embedding share weights."),
    ] = False,
    dropout: Annotated[float, typer.Option(min=0, max=0.99)] = 0.0,
    batches: Annotated[
        Batches, typer.Option(help="Of a language model: carry the state on, or reset it.")
    ] = Batches.sequential,
    steps: Annotated[int, typer.Option(min=2, max=1000, help="Tokens the gradient goes back.")] = (
        64
    ),
    batch_size: Annotated[int, typer.Option(min=1, max=4096)] = 32,
    epochs: Annotated[int, typer.Option(min=1, max=10_000, help="At most.")] = 20,
    optimiser: Optimiser = Optimiser.adam,
    learning_rate: Annotated[float, typer.Option(min=0, max=100)] = 2e-3,
    decay: Annotated[
        float,
        typer.Option(min=0, max=1, help="Of the rate, after an epoch without a better loss."),
    ] = 0.5,
    clip: Annotated[
        float, typer.Option(min=0, max=1000, help="The longest a gradient may be.")
    ] = 1.0,
    held_out: Annotated[
        float, typer.Option(min=0, max=0.5, help="Part of the corpus to measure on.")
    ] = 0.1,
    patience: Annotated[
        int, typer.Option(min=1, max=10_000, help="Epochs without a better loss, then it stops.")
    ] = 3,
    seed: Seed = 0,
    encoding: Encoding = "utf-8",
    unit: Unit = None,
    keep_case: KeepCase = False,
    letters_only: LettersOnly = False,
    curve: Curve = None,
    as_json: Json = False,
) -> None:
    """Train a language model on a text, or a classifier on labelled texts.

    Labelled texts are lines "label TAB text", JSON lines with label and text, or a folder or zip
    with a file for each label, one text a line. Ctrl-C stops the training on the server as well.
    """
    options = {
        "kind": kind,
        "name": name,
        "vocabulary": vocabulary,
        "version": version,
        "max_words": max_words,
        "min_count": min_count,
        "cell": cell,
        "hidden": hidden,
        "layers": layers,
        "bidirectional": bidirectional,
        "embedding": embedding,
        "tied": tied,
        "dropout": dropout,
        "batches": batches,
        "steps": steps,
        "batch_size": batch_size,
        "epochs": epochs,
        "optimiser": optimiser,
        "learning_rate": learning_rate,
        "decay": decay,
        "clip": clip,
        "held_out": held_out,
        "patience": patience,
        "seed": seed,
        "encoding": encoding,
        "tokeniser": describe_tokeniser(unit, keep_case, letters_only),
    }
    check_writable(curve or Path("model-curve.png"))
    with connect() as client:
        request = {"corpus": send_corpus(client, corpus), **options}
        result = run_task(client, "text.train", request)
        default = Path(f"{result['model']}-curve.png")
        saved = save_file(client, result["curve"], curve or default)
    if as_json:
        write_json({**result, "saved": str(saved)})
        return
    rows = {name: fact for name, fact in result.items() if name not in ("curve", "sample")}
    show_facts("text.train", rows, as_json)
    tell(f"The loss is drawn in {saved}.")
    if result["sample"]:
        tell(f"It writes:\n{result['sample']}")


@app.command()
def generate(
    model: Model,
    prefix: Annotated[str, typer.Argument(metavar="PREFIX", help="What the text begins with.")] = (
        ""
    ),
    length: Annotated[int, typer.Option(min=1, max=10_000, help="Tokens to write.")] = 200,
    temperature: Annotated[
        float, typer.Option(min=0, max=10, help="0: always the likeliest; more: more surprising.")
    ] = 0.8,
    top_k: Annotated[
        int | None, typer.Option(min=1, help="Choose among so many of the likeliest.")
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Let a language model go on with a text; prints the text and nothing else."""
    request = {
        "model": model,
        "prefix": prefix,
        "length": length,
        "temperature": temperature,
        "top_k": top_k,
        "seed": seed,
    }
    with connect() as client:
        result = run_task(client, "text.generate", request)
    if as_json:
        write_json(result)
    else:
        typer.echo(result["text"], nl=sys.stdout.isatty())


@app.command()
def classify(
    model: Model,
    texts: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT...", help="Unless given, each line of standard input is one."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Tell which class texts belong to."""
    with connect() as client:
        rows = []
        for group in group_items(read_lines(texts)):
            items = run_task(client, "text.classify", {"model": model, "texts": group})["items"]
            for text, item in zip(group, items, strict=True):
                if as_json:
                    write_json({"text": text, **item})
                rows.append((item["label"], f"{item['probability']:.3f}", text))
    if not as_json:
        write_table(("label", "probability", "text"), rows)


@app.command()
def models(as_json: Json = False) -> None:
    """List your embeddings, language models and classifiers."""
    with connect() as client:
        _show_models(run_task(client, "text.models", {})["models"], as_json)


@app.command()
def promote(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Such as model@2.")],
    as_json: Json = False,
) -> None:
    """Make a version the one that is meant where only its name is given."""
    with connect() as client:
        _show_models(run_task(client, "text.promote", {"model": model})["models"], as_json)


@app.command()
def forget(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Such as model@2.")],
    as_json: Json = False,
) -> None:
    """Delete a version of a model."""
    with connect() as client:
        _show_models(run_task(client, "text.forget", {"model": model})["models"], as_json)


def _show_models(found: list[dict[str, Any]], as_json: bool) -> None:
    show_rows(("model", "kind", "measured", "made", "in use"), found, _make_row, as_json)


def _make_row(model: dict[str, Any]) -> tuple[str, ...]:
    metrics = model["metrics"]
    shown = [name for name in MEASURED if name in metrics][:2]
    measured = ", ".join(f"{name.replace('_', ' ')} {metrics[name]:.4g}" for name in shown)
    in_use = "yes" if model["in_use"] else ""
    return model["model"], model["kind"], measured, format_time(model["created_at"]), in_use
