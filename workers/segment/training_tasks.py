"""Answers the jobs that train segmentation networks."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from shared.settings import Settings
from workers.runtime.answers import answer_each
from workers.runtime.checkpoints import CHECKPOINT, learn_on, open_checkpoints
from workers.runtime.images import encode_jpeg
from workers.runtime.pretrained import ask_for_pretrained
from workers.runtime.reporting import REPORT_EVERY, Reporter
from workers.runtime.run import InvalidInput, JobError, Run
from workers.runtime.training import run_through
from workers.segment.augment import Augmentation
from workers.segment.batches import Pictures
from workers.segment.data import open_data
from workers.segment.encoders import read_encoder
from workers.segment.fcn import FCN
from workers.segment.fcn_config import SHAPES, FcnConfig
from workers.segment.fields import Encoder
from workers.segment.labelled import LabelledPictures
from workers.segment.loaded import SegmentWorker
from workers.segment.metrics import Score
from workers.segment.sample_pictures import Samples, draw_history, draw_progress
from workers.segment.score_views import view_classes, view_measures
from workers.segment.scores import ignore
from workers.segment.segmenter_file import Segmenter, pack_segmenter
from workers.segment.served import KIND
from workers.segment.train_options import (
    Diverged,
    Progress,
    Trained,
    TrainOptions,
    split_parts,
)
from workers.segment.training import Training
from workers.segment.training_contract import TrainRequest, TrainResult
from workers.segment.training_memory import check_memory
from workers.segment.validation import measure_network

NO_CHANGE = Augmentation(scale=1, exposure=1, flip=0)


def train(
    worker: SegmentWorker, batch: Sequence[Run[TrainRequest]]
) -> list[TrainResult | JobError]:
    return answer_each(batch, lambda run: _train(worker, run))


def _train(worker: SegmentWorker, run: Run[TrainRequest]) -> TrainResult:
    """A worker that is killed goes on from the last checkpoint when the job is claimed again."""
    read_options(run.request, classes=1)  # what does not fit together is told before all else
    encoder = read_pretrained(run.request, worker.settings)
    with open_data(worker, run) as data:
        options = read_options(run.request, len(data.classes))
        check_data(data, options)
        check_memory(options, data, worker.device)
        folder = open_checkpoints(worker.settings, worker.sessions, run.job_id)
        return learn_on(run, folder, lambda: _learn(worker, run, data, options, folder, encoder))


def read_options(request: TrainRequest, classes: int) -> TrainOptions:
    """Raises InvalidInput for numbers that do not fit together."""
    half = SHAPES[request.encoder].kernel // 2  # of fc6's kernel
    padding = half if request.fc6_padding is None else request.fc6_padding
    check_frozen(request.frozen, request.encoder, request.pretrained)
    try:
        return TrainOptions(
            FcnConfig(classes, request.encoder, request.stride, padding, request.at_once),
            choose_changes(request.augment, request.flip),
            resolution=request.resolution,
            window=(request.height, request.width),
            epochs=request.epochs,
            batch=request.batch_size,
            parts=request.parts,
            optimiser=request.optimiser,
            learning_rate=request.learning_rate,
            weight_decay=request.weight_decay,
            balanced=request.balanced,
            frozen=request.frozen,
            averaging=request.averaging,
            validation=request.held_out,
            seed=request.seed,
        )
    except ValueError as error:
        raise InvalidInput(str(error)) from error


def check_frozen(frozen: int, encoder: Encoder, pretrained: bool) -> None:
    """Raises InvalidInput for stages that would stay as chance made them."""
    if frozen and (encoder == "thin" or not pretrained):
        raise InvalidInput(
            "`frozen` keeps what stages have learned on ImageNet, and they start by chance here: "
            "use 0, or another `encoder` and `pretrained` true."
        )


def choose_changes(augment: bool, flip: bool) -> Augmentation:
    if not augment:
        return NO_CHANGE
    return Augmentation() if flip else Augmentation(flip=0)


def read_pretrained(request: TrainRequest, settings: Settings) -> dict[str, Tensor] | None:
    """The weights that the encoder starts with, if not by chance. Raises MissingPretrained."""
    if not request.pretrained:
        return None
    with ask_for_pretrained():
        return read_encoder(request.encoder, settings.weights)


def check_data(data: LabelledPictures, options: TrainOptions) -> None:
    """Raises InvalidInput for what cannot be learned from with these options."""
    try:
        learning, held = split_parts(data, options)
    except ValueError as error:
        raise InvalidInput(str(error)) from error
    if held is None and "val" in data.parts():
        raise InvalidInput("The masks of part val show no class: correct them, or leave it out.")
    step = min(options.batch, len(learning.pictures))
    if step < options.parts:
        source = "`batch_size`" if step == options.batch else "there are to learn from"
        raise InvalidInput(
            f"A batch has {step} pictures, as many as {source}, and cannot be {options.parts} "
            f"parts: use {step} `parts` at most."
        )
    check_window(options, step // options.parts)


def check_window(options: TrainOptions, part: int) -> None:
    """Raises InvalidInput if batch normalisation has one number only of so many windows."""
    with torch.device("meta"):  # shapes without numbers
        network = FCN(options.network)
        network.encoder.stages[: options.frozen].eval()
        try:
            network(torch.empty(part, 3, *options.window))
        except ValueError as error:
            raise InvalidInput(
                "One window of one cell is too little for batch normalisation: use a larger "
                "`height`, `width` or `batch_size`, or fewer `parts`."
            ) from error


def _learn(
    worker: SegmentWorker,
    run: Run[TrainRequest],
    data: LabelledPictures,
    options: TrainOptions,
    folder: Path,
    encoder: Mapping[str, Tensor] | None,
) -> TrainResult:
    reporter = Reporter(run)
    place = folder / CHECKPOINT
    training = Training(options, data, place, worker.device, encoder, reporter.prepare)
    samples = Samples(training.held, training.resolution) if training.held else None

    def report(progress: Progress) -> None:
        network, stop = training.average, run.raise_if_cancelled
        draw = partial(draw_progress, progress.history, samples, network, stop)
        reporter.report(progress.fraction, describe(progress), draw if progress.history else None)

    try:
        save_every = worker.settings.checkpoint_every
        trained = run_through(training, report, REPORT_EVERY, save_every)
    except Diverged as error:
        raise InvalidInput(f"{error} Nothing was kept.") from error
    trained.network.to(worker.device)
    metrics, score = measure_trained(trained, training.held, reporter.measure)
    check_found(trained.network, metrics)
    classes, resolution = data.classes, trained.resolution
    segmenter = Segmenter(trained.network, classes.names, classes.palette, resolution, metrics)
    _register(worker, run, segmenter)
    shown = samples.draw(trained.network, run.raise_if_cancelled) if samples else None
    return TrainResult(
        classes=list(classes.names),
        measures=view_measures(score) if score else None,
        per_class=view_classes(score) if score else {},
        resolution=resolution,
        loss=metrics["loss"],
        epochs=len(trained.history),
        best_epoch=trained.best,
        pictures={
            "learned": len(training.learning),
            "held_out": len(training.held) if training.held else 0,
        },
        without_mask=data.without_mask,
        parameters=sum(one.numel() for one in trained.network.parameters()),
        curve=run.save(encode_jpeg(draw_history(trained.history))),
        samples=run.save(encode_jpeg(shown)) if shown else None,
    )


def describe(progress: Progress) -> str:
    look = progress.history[-1].mean_iou if progress.history else None
    seen = "" if look is None else f", mean IoU {look:.2f}"
    return (
        f"FCN-{progress.stride}s, epoch {progress.epoch} of {progress.epochs}: "
        f"loss {progress.loss:.3f}{seen}"
    )


def measure_trained(
    trained: Trained, held: Pictures | None, watch: Callable[[], None] = ignore
) -> tuple[dict[str, float], Score | None]:
    """(the metrics, what they are of); without pictures held out, those of training alone."""
    metrics = {
        "epochs": float(len(trained.history)),
        "best_epoch": float(trained.best),
        "loss": trained.history[trained.best - 1].loss,
    }
    if held is None:
        return metrics, None
    score = measure_network(trained.network, held, trained.resolution, watch)
    return metrics | name_metrics(score), score


def name_metrics(score: Score) -> dict[str, float]:
    """The four measures, and the IoU of each class that has one."""
    ious = {f"iou {one.name}": one.iou for one in score.classes if one.iou is not None}
    return view_measures(score).model_dump() | ious


def check_found(network: FCN, metrics: Mapping[str, float]) -> None:
    """Raises InvalidInput for a network that is of no use."""
    if not all(one.isfinite().all() for one in network.state_dict().values()):
        raise InvalidInput(
            "The weights are no numbers any more, so nothing was kept. Lower `learning_rate`."
        )
    if metrics.get("mean_iou") == 0:
        raise InvalidInput(
            "It found no class where it is on the pictures held out, so nothing was kept. Train "
            "for more `epochs`, with more pictures, or with another `learning_rate`."
        )


def _register(worker: SegmentWorker, run: Run[TrainRequest], segmenter: Segmenter) -> None:
    packed, facts = pack_segmenter(segmenter), segmenter.list_facts()
    worker.models.add(run, KIND, run.request.name, *packed, segmenter.metrics, facts)
