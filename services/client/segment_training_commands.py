"""`atelier segment train | evaluate`: make a network of your own, and measure any."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from services.client.console import tell, write_json, write_table
from services.client.facts import show_facts
from services.client.labelled_data import describe_saved, run_on_data, tell_saved
from services.client.options import Json, Name
from services.client.segment_options import Data, Format, Model, Resolution

app = typer.Typer()

# Pictures in a result, and how their files end: a measurement leaves those of the training.
TRAINED = {"curve": "curve.jpg", "samples": "samples.jpg"}
EVALUATED = {"confusion": "confusion.png", "samples": "evaluated.jpg"}


class Encoder(StrEnum):
    efficientnet_lite0 = "efficientnet-lite0"
    thin = "thin"
    vgg16_slim = "vgg16-slim"
    vgg16 = "vgg16"


class Stride(StrEnum):
    fcn_32s = "32"
    fcn_16s = "16"
    fcn_8s = "8"


class Optimiser(StrEnum):
    adamw = "adamw"
    sgd = "sgd"


class Part(StrEnum):
    train = "train"
    val = "val"
    test = "test"


@app.command()
def train(
    data: Data,
    format: Format = None,
    name: Name = "segmenter",
    encoder: Annotated[
        Encoder, typer.Option(help="thin learns from scratch in minutes; vgg16 is for GPUs.")
    ] = Encoder.efficientnet_lite0,
    stride: Annotated[
        Stride, typer.Option(help="FCN-32s, 16s or 8s: the smaller, the finer.")
    ] = Stride.fcn_8s,
    staged: Annotated[
        bool, typer.Option("--staged", help="32s first, then 16s, then 8s, as in the paper.")
    ] = False,
    fc6_padding: Annotated[
        int | None, typer.Option(help="0, 1, 3, or the paper's 100; half of fc6 unless given.")
    ] = None,
    pretrained: Annotated[bool, typer.Option(help="Start from weights of ImageNet.")] = True,
    frozen: Annotated[
        int, typer.Option(min=0, max=5, help="Stages of the encoder that keep their weights.")
    ] = 0,
    height: Annotated[
        int, typer.Option(min=32, max=2048, help="Of the windows it learns from, in pixels.")
    ] = 240,
    width: Annotated[int, typer.Option(min=32, max=2048)] = 320,
    epochs: Annotated[int, typer.Option(min=1, max=10_000, help="Of each stage.")] = 30,
    batch_size: Annotated[int, typer.Option(min=1, max=256, help="Windows of a step.")] = 8,
    parts: Annotated[
        int, typer.Option(min=1, max=64, help="Of a batch, one after the other: less memory.")
    ] = 1,
    augment: Annotated[bool, typer.Option(help="Change size, place and light by chance.")] = True,
    flip: Annotated[bool, typer.Option(help="Of --augment: also swap left and right.")] = True,
    optimiser: Optimiser = Optimiser.adamw,
    learning_rate: Annotated[float, typer.Option(min=0, max=10, help="The highest.")] = 2e-3,
    weight_decay: Annotated[float, typer.Option(min=0, max=1)] = 5e-4,
    balanced: Annotated[
        bool, typer.Option("--balanced", help="Pixels of rare classes weigh more.")
    ] = False,
    averaging: Annotated[
        float, typer.Option(min=0, max=1, help="Of weights over steps, below 1; 0: none.")
    ] = 0.99,
    held_out: Annotated[
        float, typer.Option(min=0, max=0.9, help="Part to measure on, if the data names none.")
    ] = 0.2,
    resolution: Resolution = None,
    seed: Annotated[int, typer.Option(min=0, max=2**31)] = 0,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Put the pictures of the curve and samples here.")
    ] = Path(),
    as_json: Json = False,
) -> None:
    """Train a network on your own pictures and masks.

    Shows the loss while it learns. Saves a picture of it and of the mean IoU, and pictures it was
    not shown beside their masks and its answers. Ctrl-C stops the training on the server as well.
    """
    options = {
        "format": format,
        "name": name,
        "encoder": encoder,
        "stride": int(stride),
        "at_once": not staged,
        "fc6_padding": fc6_padding,
        "pretrained": pretrained,
        "frozen": frozen,
        "height": height,
        "width": width,
        "epochs": epochs,
        "batch_size": batch_size,
        "parts": parts,
        "augment": augment,
        "flip": flip,
        "optimiser": optimiser,
        "learning_rate": learning_rate,
        "weight_decay": weight_decay,
        "balanced": balanced,
        "averaging": averaging,
        "held_out": held_out,
        "resolution": resolution,
        "seed": seed,
    }
    result, saved = run_on_data("segment.train", data, options, TRAINED, out)
    if as_json:
        write_json(describe_saved(result, saved))
        return
    _show("segment.train", result)
    tell_saved(saved)
    tell(f"`atelier segment PHOTO... --model {result['model']}` looks with it.")


@app.command()
def evaluate(
    data: Data,
    model: Model = None,
    format: Format = None,
    part: Annotated[Part | None, typer.Option(help="Only this part of the data.")] = None,
    resolution: Resolution = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Put pictures of the confusions and of samples here."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure a network on pictures and masks, as Long, Shelhamer and Darrell (2015) do."""
    options = {"model": model, "format": format, "part": part, "resolution": resolution}
    result, saved = run_on_data("segment.evaluate", data, options, EVALUATED, out)
    if as_json:
        write_json(describe_saved(result, saved))
        return
    _show("segment.evaluate", result)
    tell_saved(saved)


def _show(task: str, result: dict[str, Any]) -> None:
    """A row for each class, the largest first, then one for each other fact but pictures."""
    columns = ("class", "share of pixels", "IoU", "accuracy")
    per_class = sorted(result["per_class"].items(), key=lambda one: -one[1]["share"])
    write_table(columns, [_make_row(*of_class) for of_class in per_class])
    left_out = {*TRAINED, *EVALUATED, "per_class"}
    show_facts(task, {name: result[name] for name in result if name not in left_out}, False)


def _make_row(name: str, found: dict[str, Any]) -> tuple[str, ...]:
    measures = (found["iou"], found["accuracy"])
    return name, f"{found['share']:.1%}", *("" if m is None else f"{m:.3f}" for m in measures)
