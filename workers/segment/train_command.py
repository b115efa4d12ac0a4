"""The command line of training: `python -m workers.segment.train --data DIR --out DIR`."""

import json
from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from rich.progress import Progress as Bar

from shared.settings import Settings
from shared.weights import WeightsError
from workers.runtime.distributed import choose_own_device, join_others
from workers.runtime.run import InvalidInput, TooLarge
from workers.segment.batches import Pictures
from workers.segment.encoders import read_encoder
from workers.segment.fcn_config import SHAPES, FcnConfig
from workers.segment.fields import Encoder
from workers.segment.labelled import LabelledPictures
from workers.segment.read_labelled import read_folder
from workers.segment.sample_pictures import draw_history
from workers.segment.segmenter_file import Segmenter, save_segmenter
from workers.segment.train import train
from workers.segment.train_options import (
    Progress,
    Trained,
    TrainOptions,
    choose_resolution,
    split_parts,
)
from workers.segment.training_tasks import check_data, check_frozen, measure_trained

SEGMENTER, METRICS, CURVES = "segmenter.safetensors", "metrics.json", "curves.png"


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, and write the network, its metrics on the validation pictures and its curves."""
    parser = make_parser()
    given = parser.parse_args(arguments)
    try:
        data = read_folder(given.data)
        check_frozen(given.frozen, given.encoder, given.pretrained)
        options = make_options(given, len(data.classes))
        check_data(data, options)
        encoder = read_encoder(given.encoder, given.weights) if given.pretrained else None
    except (InvalidInput, TooLarge, ValueError, WeightsError) as error:
        parser.error(str(error))
    with join_others(given.threads) as first, Bar(disable=not first) as bar:
        line = bar.add_task("training", total=1.0)

        def show(progress: Progress) -> None:
            bar.update(line, completed=progress.fraction, description=write_line(progress))

        trained = train(options, data, show, given.out, choose_own_device(), encoder)
        if first:
            results = write_results(trained, data, options, given.out, given.half)
            bar.console.print_json(data=results)


def make_parser() -> ArgumentParser:
    known = TrainOptions(FcnConfig())
    parser = ArgumentParser("python -m workers.segment.train", description=main.__doc__)
    add = parser.add_argument
    add("--data", type=Path, required=True, help="pictures and masks: VOC, lists or folders")
    add("--out", type=Path, required=True, help="for results and checkpoint")
    add("--encoder", choices=get_args(Encoder), default="thin")
    add("--stride", type=int, choices=(32, 16, 8), default=known.network.stride)
    add("--fc6-padding", type=int, help="0, half of fc6's kernel, or 100; by default the half")
    add("--at-once", action="store_true", help="all skips from the start, not in stages")
    add("--height", type=int, default=known.window[0], help="of a window to learn from")
    add("--width", type=int, default=known.window[1])
    add("--epochs", type=int, default=known.epochs, help="of each stage")
    add("--batch", type=int, default=known.batch, help="pictures of a step")
    add("--parts", type=int, default=known.parts, help="of a batch, to take less memory")
    add("--half", action="store_true", help="write the weights in 16 bits")
    add("--frozen", type=int, default=known.frozen, help="stages of the encoder that stay")
    add("--averaging", type=float, default=known.averaging, help="of weights over steps, below 1")
    add("--check-every", type=int, default=known.check_every, help="epochs between measures")
    add("--optimiser", choices=("adamw", "sgd"), default=known.optimiser)
    add("--learning-rate", type=float, default=known.learning_rate)
    add("--summed", action="store_true", help="the loss is a sum over pixels, as the authors'")
    add("--balanced", action="store_true", help="pixels of rare classes weigh more")
    add("--validation", type=float, default=known.validation, help="if there is no part val")
    add("--pretrained", action=BooleanOptionalAction, default=True, help="on ImageNet")
    add("--weights", type=Path, default=Settings().weights, help="where they were pulled to")
    add("--threads", type=int, default=1)
    add("--seed", type=int, default=known.seed)
    return parser


def make_options(given: Namespace, classes: int) -> TrainOptions:
    """Raises ValueError for options that do not fit together."""
    padding = given.fc6_padding
    if padding is None:
        padding = SHAPES[given.encoder].kernel // 2
    return TrainOptions(
        FcnConfig(classes, given.encoder, given.stride, padding, given.at_once),
        window=(given.height, given.width),
        epochs=given.epochs,
        batch=given.batch,
        parts=given.parts,
        frozen=given.frozen,
        averaging=given.averaging,
        check_every=given.check_every,
        optimiser=given.optimiser,
        learning_rate=given.learning_rate,
        summed=given.summed,
        balanced=given.balanced,
        validation=given.validation,
        seed=given.seed,
    )


def write_line(progress: Progress) -> str:
    return (
        f"FCN-{progress.stride}s, epoch {progress.epoch}/{progress.epochs}, "
        f"loss {progress.loss:.4g}"
    )


def write_results(
    trained: Trained, data: LabelledPictures, options: TrainOptions, folder: Path, half: bool
) -> dict[str, float]:
    """The files; answers with the metrics, those of the validation pictures if there are any.

    `half`: the weights are written in 16 bits; the metrics are those of 32.
    """
    learning, held = split_parts(data, options)
    metrics, _ = measure_trained(trained, Pictures(held) if held else None)
    draw_history(trained.history).save(folder / CURVES)
    classes, resolution = data.classes, choose_resolution(learning)
    segmenter = Segmenter(trained.network, classes.names, classes.palette, resolution, metrics)
    save_segmenter(segmenter, folder / SEGMENTER, half)
    (folder / METRICS).write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
    return metrics
