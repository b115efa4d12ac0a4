"""The command line of training: `python -m workers.style.train --style FILE --data DIR ...`."""

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from pydantic import ValidationError
from rich.progress import Progress as Bar

from shared.settings import Settings
from workers.runtime.checkpoints import UnusableCheckpoint
from workers.runtime.distributed import choose_own_device, join_others
from workers.runtime.images import decode, encode_jpeg
from workers.runtime.run import InvalidInput, JobError
from workers.style.contents import Contents, read_folder
from workers.style.features import load_features
from workers.style.loss_curve import draw_losses
from workers.style.painter_file import Painter, save_painter
from workers.style.train import train
from workers.style.train_options import (
    Progress,
    Trained,
    TrainOptions,
    name_metrics,
    view_history,
)
from workers.style.training_contract import TrainRequest
from workers.style.training_memory import check_memory
from workers.style.training_pictures import Samples
from workers.style.training_tasks import check_painter, describe, read_options

PAINTER, METRICS, CURVE = "painter.safetensors", "metrics.json", "curve.png"
SAMPLES = "samples.jpg"
# Of the task; the command takes files in place of `style` and `data`, and gives no name.
FIELDS = {
    name: one
    for name, one in TrainRequest.model_fields.items()
    if name not in ("style", "data", "name")
}
UNUSABLE = 2  # the exit code for what was given, as argparse has it


def main(arguments: Sequence[str] | None = None) -> None:
    """Train a network of one style, and write it, its losses and how it paints."""
    parser = make_parser()
    given = parser.parse_args(arguments)
    try:
        run(given)
    except UnusableCheckpoint as error:
        parser.exit(UNUSABLE, f"{error} Remove it or choose another --out.\n")
    except (JobError, ValueError, OSError) as error:
        parser.exit(UNUSABLE, f"{error}\n")


def run(given: Namespace) -> None:
    """Raises JobError, OSError; ValueError for a batch that cannot be shared."""
    options, device = make_options(given), choose_own_device()
    style = decode(given.style.read_bytes())
    features = load_features("vgg16", "max", given.weights, device)
    data = read_folder(given.data)
    check_memory(options, data, device)
    with join_others(given.threads) as first, Bar(disable=not first) as bar:
        line = bar.add_task("training", total=1.0)

        def show(progress: Progress) -> None:
            bar.update(line, completed=progress.fraction, description=describe(progress))

        save_every = Settings().checkpoint_every
        trained = train(
            options, style, data, features, show, given.out, device, save_every=save_every
        )
        if first:
            bar.console.print_json(data=write_results(trained, style, data, given))


def make_parser() -> ArgumentParser:
    """Its options and their defaults are those of the task."""
    parser = ArgumentParser("python -m workers.style.train", description=main.__doc__)
    add = parser.add_argument
    add("--style", type=Path, required=True, help="the picture of the style")
    add("--data", type=Path, required=True, help="pictures to learn from, in any folders")
    add("--out", type=Path, required=True, help="for results and checkpoint")
    add("--half", action="store_true", help="write the weights in 16 bits")
    add("--weights", type=Path, default=Settings().weights, help="where they were pulled to")
    add("--threads", type=int, default=1)
    for name, one in FIELDS.items():
        kind, count = (str, "+") if name == "style_layers" else (type(one.default), None)
        option = f"--{name.replace('_', '-')}"
        add(option, type=kind, nargs=count, default=one.default, help=one.description)
    return parser


def make_options(given: Namespace) -> TrainOptions:
    """Raises InvalidInput for options that are no use."""
    asked = {name: value for name, value in vars(given).items() if name in FIELDS}
    try:
        request = TrainRequest(style="", data="", **asked)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        option = str(first["loc"][0]).replace("_", "-")
        raise InvalidInput(f"--{option}: {first['msg']}.") from error
    return read_options(request)


def write_results(
    trained: Trained, style: Image.Image, data: Contents, given: Namespace
) -> dict[str, float]:
    """The files; answers with the metrics.

    Raises InvalidInput, and writes nothing, for a network that is of no use.
    """
    samples, folder = Samples(style, data), given.out
    check_painter(trained.network, samples)
    painter = Painter(trained.network, name_metrics(trained.history))
    save_painter(painter, folder / PAINTER, given.half)
    (folder / CURVE).write_bytes(draw_losses(view_history(trained.history)))
    (folder / SAMPLES).write_bytes(encode_jpeg(samples.draw(trained.network)))
    told = json.dumps(painter.metrics, indent=1)
    (folder / METRICS).write_text(told + "\n", encoding="utf-8")
    return painter.metrics
