"""The command line of training: `python -m workers.segment.train --data DIR --out DIR`."""

import json
from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

from pydantic import ValidationError
from rich.progress import Progress as Bar

from shared.settings import Settings
from shared.weights import WeightsError
from workers.runtime.checkpoints import UnusableCheckpoint
from workers.runtime.distributed import choose_own_device, join_others
from workers.runtime.run import InvalidInput, JobError
from workers.segment.batches import Pictures
from workers.segment.encoders import read_encoder
from workers.segment.fields import Encoder, Format
from workers.segment.labelled import LabelledPictures
from workers.segment.read_labelled import read_folder
from workers.segment.sample_pictures import draw_history
from workers.segment.segmenter_file import Segmenter, save_segmenter
from workers.segment.train import train
from workers.segment.train_options import (
    Progress,
    Trained,
    TrainOptions,
    split_parts,
)
from workers.segment.training_contract import TrainRequest
from workers.segment.training_memory import check_memory
from workers.segment.training_tasks import (
    check_data,
    check_found,
    describe,
    measure_trained,
    read_options,
)

SEGMENTER, METRICS, CURVES = "segmenter.safetensors", "metrics.json", "curves.png"
# Of the task; the command takes a folder in place of `data`, and gives no name.
FIELDS = {
    name: one for name, one in TrainRequest.model_fields.items() if name not in ("data", "name")
}
UNUSABLE = 2  # the exit code for what was given, as argparse has it


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, and write the network, its metrics on the validation pictures and its curves."""
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
    make_options(given, classes=1)  # what does not fit together is told before all else
    encoder = read_encoder(given.encoder, given.weights) if given.pretrained else None
    data = read_folder(given.data, given.format)
    options, device = make_options(given, len(data.classes)), choose_own_device()
    check_data(data, options)
    check_memory(options, data, device)
    with join_others(given.threads) as first, Bar(disable=not first) as bar:
        line = bar.add_task("training", total=1.0)

        def show(progress: Progress) -> None:
            bar.update(line, completed=progress.fraction, description=describe(progress))

        save_every = Settings().checkpoint_every
        trained = train(options, data, show, given.out, device, encoder, save_every=save_every)
        if first:
            trained.network.to(device)
            bar.console.print_json(data=write_results(trained, data, options, given))


def make_parser() -> ArgumentParser:
    """Its defaults are those of the task."""
    parser = ArgumentParser("python -m workers.segment.train", description=main.__doc__)
    add = parser.add_argument
    add("--data", type=Path, required=True, help="pictures and masks: VOC, COCO, lists or folders")
    add("--out", type=Path, required=True, help="for results and checkpoint")
    add("--half", action="store_true", help="write the weights in 16 bits")
    add("--check-every", type=int, default=1, help="epochs between measures")
    add("--summed", action="store_true", help="the loss is a sum over pixels, as the authors'")
    add("--weights", type=Path, default=Settings().weights, help="where they were pulled to")
    add("--threads", type=int, default=1)
    add_fields(parser)
    parser.set_defaults(**{name: one.default for name, one in FIELDS.items()})
    return parser


def add_fields(parser: ArgumentParser) -> None:
    """The options that the task has too."""
    add = parser.add_argument
    add("--format", choices=get_args(Format), help="only needed if there are several")
    add("--encoder", choices=get_args(Encoder))
    add("--stride", type=int, choices=(32, 16, 8))
    add("--fc6-padding", type=int, help="0, half of fc6's kernel, or 100; by default the half")
    add("--staged", dest="at_once", action="store_false", help="32s first, then 16s, then 8s")
    add("--height", type=int, help="of a window to learn from")
    add("--width", type=int)
    add("--epochs", type=int, help="of each stage")
    add("--batch-size", "--batch", type=int, help="pictures of a step")
    add("--parts", type=int, help="of a batch, to take less memory")
    add("--frozen", type=int, help="stages of the encoder that stay")
    add("--averaging", type=float, help="of weights over steps, below 1")
    add("--optimiser", choices=("adamw", "sgd"))
    add("--learning-rate", type=float)
    add("--weight-decay", type=float)
    add("--augment", action=BooleanOptionalAction, help="change size, place and light")
    add("--flip", action=BooleanOptionalAction, help="also swap left and right")
    add("--balanced", action="store_true", help="pixels of rare classes weigh more")
    add("--held-out", "--validation", type=float, help="share, if there is no part val")
    add("--resolution", type=int, help="of the shorter side; by default the pictures' middle one")
    add("--pretrained", action=BooleanOptionalAction, help="on ImageNet")
    add("--seed", type=int)


def make_options(given: Namespace, classes: int) -> TrainOptions:
    """Raises InvalidInput or ValueError for options that are no use, or do not fit together."""
    asked = {name: value for name, value in vars(given).items() if name in FIELDS}
    try:
        request = TrainRequest(data="", **asked)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        option = str(first["loc"][0]).replace("_", "-")
        raise InvalidInput(f"--{option}: {first['msg']}.") from error
    return replace(
        read_options(request, classes), summed=given.summed, check_every=given.check_every
    )


def write_results(
    trained: Trained, data: LabelledPictures, options: TrainOptions, given: Namespace
) -> dict[str, float]:
    """The files; answers with the metrics, those of the validation pictures if there are any.

    The metrics are those of 32 bits, also where the weights are written in 16. Raises InvalidInput,
    and writes nothing, for a network that is of no use.
    """
    folder = given.out
    _, held = split_parts(data, options)
    metrics, _ = measure_trained(trained, Pictures(held) if held else None)
    check_found(trained.network, metrics)
    draw_history(trained.history).save(folder / CURVES)
    shown = data.classes.names, data.classes.palette, trained.resolution
    segmenter = Segmenter(trained.network, *shown, metrics)
    save_segmenter(segmenter, folder / SEGMENTER, given.half)
    (folder / METRICS).write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
    return metrics
