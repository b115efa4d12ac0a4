"""The command line of training: `python -m workers.text.train --data FILE --out DIR`."""

import json
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

import torch
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from rich.progress import Progress as Bar

from shared.settings import Settings
from workers.runtime.devices import choose_device
from workers.runtime.run import JobError
from workers.runtime.tensors import write_tensors
from workers.text.corpora import WordChoice
from workers.text.evaluate import check_learned, measure
from workers.text.fields import ENCODINGS
from workers.text.generate import write_text
from workers.text.language_model import LanguageModel
from workers.text.lessons import ClassifierLesson, LanguageLesson, TrainOptions, open_lesson
from workers.text.model_contract import TrainRequest
from workers.text.reader import Architecture
from workers.text.recurrent import Cell
from workers.text.saved import pack_model
from workers.text.train import Trained, train
from workers.text.training_tasks import describe, draw_losses, read_options

NETWORK, METRICS, CURVE, SAMPLE = "model.safetensors", "metrics.json", "loss.png", "sample.txt"


def main(arguments: Sequence[str] | None = None) -> None:
    """Train on a text, or on labelled texts, and write the network, its metrics and its losses.

    It goes on from the checkpoint in the folder if there is one.
    """
    parser = make_parser()
    given = parser.parse_args(arguments)
    try:
        request = read_request(given)
    except ValidationError as error:
        parser.error("\n".join(describe_error(each) for each in error.errors()))
    torch.set_num_threads(given.threads)
    try:
        run(given, request, choose_device(given.device))
    except (JobError, ValueError, OSError) as error:
        raise SystemExit(str(error)) from error


def run(given: Namespace, request: TrainRequest, device: torch.device) -> None:
    """Raises JobError, UnusableCheckpoint; OSError for files that cannot be read or written."""
    lesson = read_lesson(given, request)
    with Bar() as bar:
        line = bar.add_task("training", total=1.0)
        trained = train(
            lesson,
            lambda at: bar.update(line, completed=at.fraction, description=describe(at)),
            given.out,
            device,
            Settings().checkpoint_every,
        )
        metrics = measure(lesson, trained, device)
        bar.console.print_json(data=metrics)
    check_learned(request.kind, metrics)
    write_results(lesson, trained, metrics, given.out)


def make_parser() -> ArgumentParser:
    parser = ArgumentParser("python -m workers.text.train", description=main.__doc__)
    _add_corpus(parser)
    _add_network(parser)
    _add_training(parser)
    return parser


def _add_corpus(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("--data", type=Path, required=True, help="a text, or lines of a label, a tab and a text")
    add("--out", type=Path, required=True, help="for results and checkpoint")
    add("--kind", choices=("language", "classifier"), default="language")
    add("--encoding", choices=ENCODINGS, default="utf-8")
    add("--unit", choices=("words", "characters", "chinese", "whitespace"), default="words")
    add("--as-written", action="store_true", help="keep capital letters and odd characters")
    add("--letters-only", action="store_true", help="of characters: others become a blank")
    add("--max-words", type=int, default=10_000)
    add("--min-count", type=int, default=1)
    add("--held-out", type=float, default=0.1, help="part of the corpus to measure on")


def _add_network(parser: ArgumentParser) -> None:
    shape, add = Architecture(), parser.add_argument
    add("--cell", choices=get_args(Cell), default=shape.cell)
    add("--written-out", action="store_true", help="by the equations instead of torch.nn")
    add("--hidden", type=int, default=shape.hidden)
    add("--layers", type=int, default=shape.layers)
    add("--embedding", type=int, help="numbers for a token; one-hot rows without")
    add("--tied", action="store_true", help="the output has the weights of the embedding")
    add("--bidirectional", action="store_true", help="of a classifier: read both ways")
    add("--dropout", type=float, default=shape.dropout)


def _add_training(parser: ArgumentParser) -> None:
    known, add = TrainOptions(), parser.add_argument
    add("--batches", choices=("sequential", "random"), default=known.batches)
    add("--steps", type=int, default=known.steps, help="tokens the gradient goes back")
    add("--batch-size", type=int, default=known.batch_size)
    add("--epochs", type=int, default=known.epochs)
    add("--optimiser", choices=("adam", "sgd"), default=known.optimiser)
    add("--learning-rate", type=float, default=known.learning_rate)
    add("--decay", type=float, default=known.decay, help="of the rate, after a worse epoch")
    add("--weight-decay", type=read_decay, default=known.weight_decay)
    add("--clip", type=float, default=known.clip, help="the longest a gradient may be")
    add("--patience", type=int, default=known.patience, help="epochs without a better one")
    add("--seed", type=int, default=known.seed)
    add("--device", default="auto")
    add("--threads", type=read_count, default=1, help="more hardly help so small a network")


def read_decay(text: str) -> float:
    decay = float(text)
    if not 0 <= decay < 1:
        raise ArgumentTypeError("it is 0 or more, and less than 1")
    return decay


def read_count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise ArgumentTypeError("it is 1 or more")
    return count


def read_request(given: Namespace) -> TrainRequest:
    """What a job with these options would ask. Raises ValidationError."""
    values = vars(given)
    plain = not given.as_written
    tokeniser = {"unit": given.unit, "lower": plain, "nfkc": plain}
    asked = {name: values[name] for name in TrainRequest.model_fields if name in values}
    return TrainRequest.model_validate(
        {**asked, "corpus": "", "tokeniser": {**tokeniser, "letters_only": given.letters_only}}
    )


def describe_error(error: ErrorDetails) -> str:
    names = ["--" + str(name).replace("_", "-") for name in error["loc"]]
    return ": ".join([*names, error["msg"]])


def read_lesson(given: Namespace, request: TrainRequest) -> LanguageLesson | ClassifierLesson:
    """Raises InvalidInput, TooLarge, OSError."""
    options = read_options(request)
    shape = replace(options.architecture, written_out=given.written_out)
    return open_lesson(
        request.kind,
        given.data.read_bytes(),
        request.encoding,
        WordChoice(request.tokeniser, request.max_words, request.min_count),
        request.held_out,
        replace(options, architecture=shape, weight_decay=given.weight_decay),
    )


def write_results(
    lesson: LanguageLesson | ClassifierLesson,
    trained: Trained,
    metrics: dict[str, float],
    folder: Path,
) -> None:
    network, lexicon = trained.network, lesson.corpus.lexicon
    labels = lesson.corpus.label_names if isinstance(lesson, ClassifierLesson) else ()
    write_tensors(folder / NETWORK, *pack_model(network, lexicon, labels))
    (folder / METRICS).write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
    (folder / CURVE).write_bytes(draw_losses(trained.losses, trained.held_out))
    if isinstance(network, LanguageModel):
        sample, _ = write_text(network, lexicon, "", 500, temperature=0.8)
        (folder / SAMPLE).write_text(sample + "\n", encoding="utf-8")
