"""Answers the jobs that train detectors."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from torch import Tensor

from shared.settings import Settings
from workers.detect.augment import Augmentation
from workers.detect.average_precision import Evaluation, choose_threshold, draw_precision_recall
from workers.detect.batches import Squares
from workers.detect.data import open_data
from workers.detect.detector_file import Detector, pack_detector
from workers.detect.labelled import LabelledPictures
from workers.detect.loaded import DetectWorker
from workers.detect.sample_pictures import Samples, draw_history, draw_progress
from workers.detect.served import KIND
from workers.detect.suppression import Suppression
from workers.detect.train import REPORT_EVERY, Training
from workers.detect.train_options import Diverged, Progress, Trained, TrainOptions, split_parts
from workers.detect.training_contract import TrainRequest, TrainResult
from workers.detect.training_memory import check_memory
from workers.detect.validation import LEAST_SCORE, measure
from workers.detect.yolo_config import YoloConfig
from workers.detect.yolo_loss import LossSettings
from workers.runtime.answers import answer_each
from workers.runtime.checkpoints import CHECKPOINT, learn_on, open_checkpoints
from workers.runtime.efficientnet_lite import read_pretrained
from workers.runtime.images import encode_jpeg
from workers.runtime.pretrained import ask_for_pretrained
from workers.runtime.reporting import Reporter
from workers.runtime.run import InvalidInput, JobError, Run
from workers.runtime.training import run_through

SURE = 0.5  # score; what is found with it or more is counted beside the average precision
NO_CHANGE = Augmentation(scale=0, shift=0, exposure=1, saturation=1, flip=0)


def train(worker: DetectWorker, batch: Sequence[Run[TrainRequest]]) -> list[TrainResult | JobError]:
    return answer_each(batch, lambda run: _train(worker, run))


def _train(worker: DetectWorker, run: Run[TrainRequest]) -> TrainResult:
    """A worker that is killed goes on from the last checkpoint when the job is claimed again."""
    read_options(run.request, classes=1)  # what does not fit together is told before all else
    trunk = read_trunk(run.request, worker.settings)
    with open_data(worker, run) as data:
        options = read_options(run.request, len(data.names))
        check_data(data, options)
        check_memory(options, len(data.pictures), worker.device)
        folder = open_checkpoints(worker.settings, worker.sessions, run.job_id)
        return learn_on(run, folder, lambda: _learn(worker, run, data, options, folder, trunk))


def read_options(request: TrainRequest, classes: int) -> TrainOptions:
    """Raises InvalidInput for numbers that do not fit together."""
    try:
        return TrainOptions(
            YoloConfig(request.preset, classes, request.side, request.grid, request.boxes),
            LossSettings(confidence=request.confidence),
            choose_changes(request.augment, request.flip),
            bordered=request.bordered,
            epochs=request.epochs,
            batch=request.batch_size,
            parts=request.parts,
            optimiser=request.optimiser,
            learning_rate=request.learning_rate,
            weight_decay=request.weight_decay,
            validation=request.held_out,
            patience=request.patience,
            seed=request.seed,
        )
    except ValueError as error:
        raise InvalidInput(str(error)) from error


def choose_changes(augment: bool, flip: bool) -> Augmentation:
    if not augment:
        return NO_CHANGE
    return Augmentation() if flip else Augmentation(flip=0)


def read_trunk(request: TrainRequest, settings: Settings) -> dict[str, Tensor] | None:
    """The weights that the network starts with, if not by chance. Raises MissingPretrained."""
    if request.preset != "efficientnet-lite0" or not request.pretrained:
        return None
    with ask_for_pretrained():
        return read_pretrained(settings.weights)


def check_data(data: LabelledPictures, options: TrainOptions) -> None:
    """Raises InvalidInput for what cannot be learned from with these options."""
    try:
        learning, _ = split_parts(data, options)
    except ValueError as error:
        raise InvalidInput(str(error)) from error
    step = min(options.batch, len(learning.pictures))
    if step < options.parts:
        raise InvalidInput(f"A batch of {step} pictures cannot be {options.parts} parts: lower it.")
    if options.network.grid == 1 and step < 2 * options.parts:
        raise InvalidInput(
            "With one cell and one picture, batch normalisation has one number only: use a larger "
            "`grid` or `batch_size`, or fewer `parts`."
        )


def _learn(
    worker: DetectWorker,
    run: Run[TrainRequest],
    data: LabelledPictures,
    options: TrainOptions,
    folder: Path,
    trunk: Mapping[str, Tensor] | None,
) -> TrainResult:
    reporter = Reporter(run)
    place = folder / CHECKPOINT
    training = Training(options, data, place, worker.device, trunk, reporter.prepare)
    samples = Samples(training.held, data.names) if training.held else None

    def report(progress: Progress) -> None:
        draw = partial(draw_progress, progress.history, samples, training.average)
        reporter.report(progress.fraction, describe(progress), draw if progress.history else None)

    try:
        save_every = worker.settings.checkpoint_every
        trained = run_through(training, report, REPORT_EVERY, save_every)
    except Diverged as error:
        raise InvalidInput(f"{error} Nothing was kept.") from error
    trained.network.to(worker.device)
    metrics, evaluation = measure_trained(trained, training.held, data.names, reporter.measure)
    check_found(metrics)
    settings = Suppression(score_threshold=read_threshold(run.request.score_threshold, evaluation))
    detector = Detector(trained.network, data.names, options.bordered, settings, metrics)
    _register(worker, run, detector)
    return TrainResult(
        classes=list(data.names),
        metrics=metrics,
        score_threshold=settings.score_threshold,
        epochs=len(trained.history),
        best_epoch=trained.best,
        stopped_early=trained.stopped_early,
        pictures={
            "learned": len(training.learning),
            "held_out": len(training.held) if training.held else 0,
        },
        objects=data.count(),
        left_out=data.empty + data.repeated,
        parameters=sum(one.numel() for one in trained.network.parameters()),
        curve=run.save(encode_jpeg(draw_history(trained.history))),
        precision_recall=run.save(draw_precision_recall(evaluation)) if evaluation else None,
        samples=run.save(encode_jpeg(samples.draw(trained.network, settings))) if samples else None,
    )


def describe(progress: Progress) -> str:
    look = progress.mean_average_precision
    seen = "" if look is None else f", mAP {look:.2f}"
    return f"epoch {progress.epoch} of {progress.epochs}: loss {progress.loss:.2f}{seen}"


def measure_trained(
    trained: Trained,
    held: Squares | None,
    names: Sequence[str],
    watch: Callable[[], None] = lambda: None,
) -> tuple[dict[str, float], Evaluation | None]:
    """(the metrics, what they are of); without pictures held out, those of training alone."""
    metrics = {
        "epochs": float(len(trained.history)),
        "best_epoch": float(trained.best),
        "loss": trained.history[trained.best - 1].loss,
    }
    if held is None:
        return metrics, None
    every, sure = (
        measure(trained.network, held, names, Suppression(score_threshold=score), watch)
        for score in (LEAST_SCORE, SURE)
    )
    return metrics | name_metrics(every) | {"map50_of_sure": sure.mean}, every


def name_metrics(evaluation: Evaluation) -> dict[str, float]:
    """The mean average precision at an IoU of 0.5, and that of each class."""
    return {"map50": evaluation.mean} | {
        f"ap50 {name}": curve.average for name, curve in evaluation.curves.items()
    }


def check_found(metrics: Mapping[str, float]) -> None:
    """Raises InvalidInput for a network that is of no use."""
    if metrics.get("map50") == 0:
        raise InvalidInput(
            "It found none of the objects held out, so nothing was kept. Train for more `epochs`, "
            "with more pictures, another `learning_rate`, or a finer `grid` for small objects."
        )


def read_threshold(asked: float | None, evaluation: Evaluation | None) -> float:
    """In [0, 1]; the one asked for, or the best on what was held out."""
    if asked is not None:
        return asked
    chosen = choose_threshold(evaluation) if evaluation else None
    return Suppression().score_threshold if chosen is None else round(chosen, 4)


def _register(worker: DetectWorker, run: Run[TrainRequest], detector: Detector) -> None:
    packed, facts = pack_detector(detector), detector.list_facts()
    worker.models.add(run, KIND, run.request.name, *packed, detector.metrics, facts)
