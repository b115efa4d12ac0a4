"""Answers the jobs that train language models and classifiers."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from workers.runtime.answers import answer_each
from workers.runtime.checkpoints import learn_on, open_checkpoints
from workers.runtime.plots import draw_curves
from workers.runtime.reporting import Reporter
from workers.runtime.run import JobError, Run, TooLarge
from workers.text.evaluate import check_learned, measure
from workers.text.generate import write_text
from workers.text.language_model import LanguageModel
from workers.text.lessons import ClassifierLesson, LanguageLesson, TrainOptions, open_lesson
from workers.text.loaded import TextWorker
from workers.text.model_contract import TrainRequest, TrainResult
from workers.text.reader import Architecture
from workers.text.saved import pack_model
from workers.text.train import Progress
from workers.text.train import train as train_network
from workers.text.word_choice import choose_words

MOST_FROZEN = 200_000  # words of a version that a network can know
# 200 MB, six times in memory at a checkpoint: 2.5 GB in all, beside the largest batch. A corpus of
# the largest size takes more.
MOST_WEIGHTS = 50_000_000
MOST_NUMBERS = 2**28  # of a batch: 1 GB, and as much again where gradients are not counted
SAMPLE = 200  # tokens


def train(worker: TextWorker, batch: Sequence[Run[TrainRequest]]) -> list[TrainResult | JobError]:
    return answer_each(batch, lambda run: _train(worker, run))


def _train(worker: TextWorker, run: Run[TrainRequest]) -> TrainResult:
    """A worker that is killed goes on from the last checkpoint when the job is claimed again."""
    request = run.request
    run.progress(0.0, "reading the corpus")
    lesson = open_lesson(
        request.kind,
        run.read(request.corpus),
        request.encoding,
        choose_words(worker, run.tenant, request, MOST_FROZEN),
        request.held_out,
        read_options(request),
    )
    _check_size(lesson)
    folder = open_checkpoints(worker.settings, worker.sessions, run.job_id)
    return learn_on(run, folder, lambda: _learn(worker, run, lesson, folder))


def read_options(request: TrainRequest) -> TrainOptions:
    architecture = Architecture(
        cell=request.cell,
        hidden=request.hidden,
        layers=request.layers,
        embedding=request.embedding,
        bidirectional=request.bidirectional,
        dropout=request.dropout,
        tied=request.tied,
    )
    return TrainOptions(
        architecture=architecture,
        batches=request.batches,
        steps=request.steps,
        batch_size=request.batch_size,
        epochs=request.epochs,
        optimiser=request.optimiser,
        learning_rate=request.learning_rate,
        decay=request.decay,
        clip=request.clip,
        patience=request.patience,
        seed=request.seed,
    )


def _check_size(lesson: LanguageLesson | ClassifierLesson) -> None:
    """Raises TooLarge before anything is made."""
    weights = lesson.count_weights()
    if weights > MOST_WEIGHTS:
        raise TooLarge(
            f"The network would have {weights} weights, more than {MOST_WEIGHTS}. Lower "
            "`max_words`, `hidden`, `layers` or `embedding`."
        )
    if lesson.count_numbers() > MOST_NUMBERS:
        raise TooLarge(
            "A batch would not fit into memory. Lower `batch_size`, `steps`, `max_words` or "
            "`hidden`."
        )


def _learn(
    worker: TextWorker,
    run: Run[TrainRequest],
    lesson: LanguageLesson | ClassifierLesson,
    folder: Path,
) -> TrainResult:
    request, reporter = run.request, Reporter(run)

    def report(progress: Progress) -> None:
        curves = (progress.losses, progress.held_out)
        draw = partial(draw_losses, *curves) if progress.losses else None
        reporter.report(progress.fraction, describe(progress), draw)

    save_every = worker.settings.checkpoint_every
    trained = train_network(lesson, report, folder, worker.device, save_every)
    metrics = measure(lesson, trained, worker.device, reporter.measure)
    check_learned(request.kind, metrics)
    network, corpus = trained.network, lesson.corpus
    labels = lesson.corpus.label_names if isinstance(lesson, ClassifierLesson) else ()
    worker.models.add(
        run, request.kind, request.name, *pack_model(network, corpus.lexicon, labels), metrics
    )
    sample = None
    if isinstance(network, LanguageModel):
        how = {"temperature": 0.8, "seed": request.seed}
        sample, _ = write_text(network, corpus.lexicon, "", SAMPLE, **how)
    return TrainResult(
        kind=request.kind,
        metrics=metrics,
        epochs=len(trained.losses),
        stopped_early=trained.stopped_early,
        words=len(corpus.lexicon.words),
        parameters=lesson.count_weights(),
        labels=list(labels) or None,
        curve=run.save(draw_losses(trained.losses, trained.held_out)),
        sample=sample,
    )


def describe(progress: Progress) -> str:
    line = f"epoch {progress.epoch} of {progress.epochs}: loss {progress.loss:.3f}"
    return line + (f", held out {progress.held_out[-1]:.3f}" if progress.held_out else "")


def draw_losses(losses: Sequence[float], held_out: Sequence[float]) -> bytes:
    curves = {"learned from": losses, "held out": held_out}
    drawn = {name: (range(1, len(c) + 1), c) for name, c in curves.items() if c}
    return draw_curves(drawn, "Loss", "epoch", "nats")
