"""The command line of training: `python -m workers.detect.train --data DIR --out DIR`."""

import json
from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from rich.progress import Progress as Bar
from torch import Tensor

from shared.settings import Settings
from shared.weights import WeightsError
from workers.detect.average_precision import draw_precision_recall
from workers.detect.batches import Squares
from workers.detect.detector_file import Detector, load_classifier, save_detector
from workers.detect.labelled import LabelledPictures
from workers.detect.read_labelled import Format, read_folder
from workers.detect.suppression import Suppression
from workers.detect.train import train
from workers.detect.train_options import Progress, Trained, TrainOptions, split_parts
from workers.detect.training_tasks import (
    check_data,
    choose_changes,
    describe,
    measure_trained,
    read_threshold,
)
from workers.detect.yolo_config import Preset, YoloConfig
from workers.detect.yolo_loss import LossSettings
from workers.runtime.checkpoints import UnusableCheckpoint
from workers.runtime.distributed import choose_own_device, join_others
from workers.runtime.efficientnet_lite import read_pretrained
from workers.runtime.run import JobError

DETECTOR, METRICS, CURVES = "detector.safetensors", "metrics.json", "precision_recall.png"
UNUSABLE = 2  # the exit code for what was given, as argparse has it


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, and write the detector, its metrics on the validation pictures and their curves."""
    parser = make_parser()
    given = parser.parse_args(arguments)
    try:
        run(given)
    except UnusableCheckpoint as error:
        parser.exit(UNUSABLE, f"{error} Remove it or choose another --out.\n")
    except (JobError, WeightsError, ValueError, OSError) as error:
        parser.exit(UNUSABLE, f"{error}\n")


def run(given: Namespace) -> None:
    """Raises JobError, WeightsError, OSError; ValueError for options that do not fit the data."""
    data = read_folder(given.data, kind=given.format)
    options = make_options(given, len(data.names))
    check_data(data, options)
    trunk = read_trunk(given)
    with join_others(given.threads) as first, Bar(disable=not first) as bar:
        line = bar.add_task("training", total=1.0)

        def show(progress: Progress) -> None:
            bar.update(line, completed=progress.fraction, description=describe(progress))

        device = choose_own_device()
        save_every = Settings().checkpoint_every
        trained = train(options, data, show, given.out, device, trunk, save_every=save_every)
        if first:
            trained.network.to(device)
            bar.console.print_json(data=write_results(trained, data, options, given))


def make_parser() -> ArgumentParser:
    known = TrainOptions(YoloConfig())
    parser = ArgumentParser("python -m workers.detect.train", description=main.__doc__)
    add = parser.add_argument
    add("--data", type=Path, required=True, help="labelled pictures: VOC, COCO or YOLO")
    add("--format", choices=get_args(Format), help="only needed if there are several")
    add("--out", type=Path, required=True, help="for results and checkpoint")
    add("--preset", choices=get_args(Preset), default="small")
    add("--side", type=int, default=224, help="pixels of the square the network sees")
    add("--grid", type=int, default=14, help="cells along a side")
    add("--boxes", type=int, default=known.network.boxes, help="of each cell")
    add("--confidence", choices=("iou", "one"), default=known.loss.confidence)
    add("--bordered", action="store_true", help="pictures keep their shape, on grey")
    add("--augment", action=BooleanOptionalAction, default=True, help="size, place and colours")
    add("--flip", action=BooleanOptionalAction, default=True, help="also swap left and right")
    add("--epochs", type=int, default=known.epochs)
    add("--batch-size", type=int, default=known.batch, help="pictures of a step")
    add("--parts", type=int, default=known.parts, help="of a batch, to take less memory")
    add("--optimiser", choices=("adamw", "sgd"), default=known.optimiser)
    add("--learning-rate", type=float, default=known.learning_rate)
    add("--weight-decay", type=float, default=known.weight_decay)
    add("--held-out", type=float, default=known.validation, help="if there is no part val")
    add("--patience", type=int, default=known.patience, help="epochs without a better one")
    add("--weights", type=Path, default=Settings().weights, help="where they were pulled to")
    add("--pretrained", action=BooleanOptionalAction, default=True, help="of efficientnet-lite0")
    add("--score-threshold", type=float, help="of the detector; else the best F1's")
    add("--classifier", type=Path, help="one whose convolutions yolo-v1 starts with")
    add("--threads", type=int, default=1)
    add("--seed", type=int, default=known.seed)
    return parser


def make_options(given: Namespace, classes: int) -> TrainOptions:
    if given.score_threshold is not None and not 0 <= given.score_threshold <= 1:
        raise ValueError("A score threshold is from 0 to 1.")
    return TrainOptions(
        YoloConfig(given.preset, classes, given.side, given.grid, given.boxes),
        LossSettings(confidence=given.confidence),
        choose_changes(given.augment, given.flip),
        bordered=given.bordered,
        epochs=given.epochs,
        batch=given.batch_size,
        parts=given.parts,
        optimiser=given.optimiser,
        learning_rate=given.learning_rate,
        weight_decay=given.weight_decay,
        validation=given.held_out,
        patience=given.patience,
        seed=given.seed,
    )


def read_trunk(given: Namespace) -> dict[str, Tensor] | None:
    """The weights that the network starts with, if not by chance."""
    if given.classifier:
        return load_classifier(given.classifier).trunk.state_dict()
    if given.preset == "efficientnet-lite0" and given.pretrained:
        return read_pretrained(given.weights)
    return None


def write_results(
    trained: Trained, data: LabelledPictures, options: TrainOptions, given: Namespace
) -> dict[str, float]:
    """The files; answers with the metrics, those of the validation pictures if there are any."""
    folder, held = given.out, split_parts(data, options)[1]
    squares = None
    if held is not None:
        squares = Squares(held.pictures, options.network.side, options.bordered)
    metrics, evaluation = measure_trained(trained, squares, data.names)
    if evaluation is not None:
        (folder / CURVES).write_bytes(draw_precision_recall(evaluation))
    settings = Suppression(score_threshold=read_threshold(given.score_threshold, evaluation))
    detector = Detector(trained.network, data.names, options.bordered, settings, metrics)
    save_detector(detector, folder / DETECTOR)
    (folder / METRICS).write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
    return metrics
