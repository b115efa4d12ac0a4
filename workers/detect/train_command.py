"""The command line of training: `python -m workers.detect.train --data DIR --out DIR`."""

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from rich.progress import Progress as Bar

from workers.detect.average_precision import Evaluation, draw_precision_recall
from workers.detect.batches import Squares
from workers.detect.detector_file import Detector, load_classifier, save_detector
from workers.detect.labelled import LabelledPictures
from workers.detect.read_labelled import read_folder
from workers.detect.suppression import Suppression
from workers.detect.train import train
from workers.detect.train_options import Progress, Trained, TrainOptions, split_parts
from workers.detect.validation import LEAST_SCORE, measure
from workers.detect.yolo_config import Preset, YoloConfig
from workers.runtime.distributed import choose_own_device, join_others

DETECTOR, METRICS, CURVES = "detector.safetensors", "metrics.json", "precision_recall.png"
SURE = 0.5  # score; what is found with it or more is counted beside the average precision


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, and write the detector, its metrics on the validation pictures and their curves."""
    given = read_arguments(arguments)
    data = read_folder(given.data)
    options = make_options(given, len(data.names))
    trunk = load_classifier(given.pretrained).trunk.state_dict() if given.pretrained else None
    with join_others(given.threads) as first, Bar(disable=not first) as bar:
        line = bar.add_task("training", total=1.0)

        def show(progress: Progress) -> None:
            bar.update(line, completed=progress.fraction, description=write_line(progress))

        trained = train(options, data, show, given.out, choose_own_device(), trunk)
        if first:
            bar.console.print_json(data=write_results(trained, data, options, given.out))


def read_arguments(arguments: Sequence[str] | None) -> Namespace:
    known = TrainOptions(YoloConfig())
    parser = ArgumentParser("python -m workers.detect.train", description=main.__doc__)
    add = parser.add_argument
    add("--data", type=Path, required=True, help="labelled pictures: VOC, COCO or YOLO")
    add("--out", type=Path, required=True, help="for results and checkpoint")
    add("--preset", choices=get_args(Preset), default="small")
    add("--side", type=int, default=224, help="pixels of the square the network sees")
    add("--grid", type=int, default=14, help="cells along a side")
    add("--boxes", type=int, default=known.network.boxes, help="of each cell")
    add("--bordered", action="store_true", help="pictures keep their shape, on grey")
    add("--epochs", type=int, default=known.epochs)
    add("--batch", type=int, default=known.batch, help="pictures of a step")
    add("--parts", type=int, default=known.parts, help="of a batch, to take less memory")
    add("--optimiser", choices=("adamw", "sgd"), default=known.optimiser)
    add("--learning-rate", type=float, default=known.learning_rate)
    add("--validation", type=float, default=known.validation, help="if there is no part val")
    add("--patience", type=int, default=known.patience, help="epochs without a better one")
    add("--pretrained", type=Path, help="a classifier whose convolutions yolo-v1 starts with")
    add("--threads", type=int, default=1)
    add("--seed", type=int, default=known.seed)
    return parser.parse_args(arguments)


def make_options(given: Namespace, classes: int) -> TrainOptions:
    return TrainOptions(
        YoloConfig(given.preset, classes, given.side, given.grid, given.boxes),
        bordered=given.bordered,
        epochs=given.epochs,
        batch=given.batch,
        parts=given.parts,
        optimiser=given.optimiser,
        learning_rate=given.learning_rate,
        validation=given.validation,
        patience=given.patience,
        seed=given.seed,
    )


def write_line(progress: Progress) -> str:
    parts = ", ".join(f"{name} {value:.2f}" for name, value in progress.terms.items())
    look = progress.mean_average_precision
    seen = "" if look is None else f", mAP {look:.1%}"
    return f"epoch {progress.epoch}: loss {progress.loss:.2f} ({parts}){seen}"


def write_results(
    trained: Trained, data: LabelledPictures, options: TrainOptions, folder: Path
) -> dict[str, float]:
    """The files; answers with the metrics, those of the validation pictures if there are any."""
    metrics = {
        "epochs": float(len(trained.history)),
        "best_epoch": float(trained.best),
        "loss": trained.history[trained.best - 1].loss,
    }
    held = split_parts(data, options)[1]
    if held is not None:
        squares = Squares(held.pictures, options.network.side, options.bordered)
        every, sure = (
            measure(trained.network, squares, data.names, Suppression(score_threshold=score))
            for score in (LEAST_SCORE, SURE)
        )
        metrics |= name_metrics(every) | {"map50_of_sure": sure.mean}
        (folder / CURVES).write_bytes(draw_precision_recall(every))
    detector = Detector(trained.network, data.names, options.bordered, metrics=metrics)
    save_detector(detector, folder / DETECTOR)
    (folder / METRICS).write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
    return metrics


def name_metrics(evaluation: Evaluation) -> dict[str, float]:
    """The mean average precision at an IoU of 0.5, and that of each class."""
    return {"map50": evaluation.mean} | {
        f"ap50 {name}": curve.average for name, curve in evaluation.curves.items()
    }
