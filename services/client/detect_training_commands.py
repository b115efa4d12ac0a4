"""`atelier detect train | evaluate`: make a detector of your own, and measure any."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from services.client.console import tell, write_json, write_table
from services.client.detect_options import Data, Format, Iou, Model
from services.client.facts import show_facts
from services.client.labelled_data import describe_saved, run_on_data, tell_saved
from services.client.options import Json, Name

app = typer.Typer()

PICTURES = {  # in a result: how their files end
    "curve": "curve.jpg",
    "precision_recall": "precision-recall.png",
    "samples": "samples.jpg",
}


class Preset(StrEnum):
    small = "small"
    efficientnet_lite0 = "efficientnet-lite0"
    fast_yolo = "fast-yolo"
    yolo_v1 = "yolo-v1"


class Confidence(StrEnum):
    iou = "iou"
    one = "one"


class Optimiser(StrEnum):
    adamw = "adamw"
    sgd = "sgd"


class Part(StrEnum):
    train = "train"
    val = "val"
    test = "test"


class Interpolation(StrEnum):
    all_point = "all-point"
    eleven_point = "11-point"


@app.command()
def train(
    data: Data,
    format: Format = None,
    name: Name = "detector",
    preset: Annotated[
        Preset, typer.Option(help="small: minutes on a processor; the paper's are for GPUs.")
    ] = Preset.small,
    pretrained: Annotated[
        bool, typer.Option(help="Of efficientnet-lite0: start from weights of ImageNet.")
    ] = True,
    side: Annotated[
        int, typer.Option(min=32, max=896, help="Pixels of the square the network sees.")
    ] = 224,
    grid: Annotated[
        int,
        typer.Option(
            min=1,
            max=56,
            help="Cells along a side. SIDE / GRID is 16 or 32, of fast-yolo and yolo-v1 64.",
        ),
    ] = 14,
    boxes: Annotated[int, typer.Option(min=1, max=10, help="That each cell predicts.")] = 2,
    confidence: Annotated[
        Confidence, typer.Option(help="The score learns the overlap, or 1: higher scores.")
    ] = Confidence.iou,
    bordered: Annotated[
        bool, typer.Option("--bordered", help="Pictures keep their shape, between grey borders.")
    ] = False,
    augment: Annotated[bool, typer.Option(help="Change size, place and colours by chance.")] = True,
    flip: Annotated[bool, typer.Option(help="Of --augment: also swap left and right.")] = True,
    epochs: Annotated[int, typer.Option(min=1, max=10_000, help="At most.")] = 60,
    batch_size: Annotated[int, typer.Option(min=1, max=512, help="Pictures of a step.")] = 16,
    parts: Annotated[
        int, typer.Option(min=1, max=64, help="Of a batch, one after the other: less memory.")
    ] = 1,
    optimiser: Optimiser = Optimiser.adamw,
    learning_rate: Annotated[float, typer.Option(min=0, max=10, help="The highest.")] = 2e-3,
    weight_decay: Annotated[float, typer.Option(min=0, max=1)] = 5e-4,
    held_out: Annotated[
        float, typer.Option(min=0, max=0.9, help="Part to measure on, if the data names none.")
    ] = 0.2,
    patience: Annotated[
        int, typer.Option(min=1, max=10_000, help="Epochs without a better measure, then it stops.")
    ] = 20,
    seed: Annotated[int, typer.Option(min=0, max=2**31)] = 0,
    score: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Of the model in use: less certain is left out. By default the best F1 on "
            "held-out pictures.",
        ),
    ] = None,
    save: Annotated[
        Path, typer.Option(metavar="DIR", help="Put the pictures of the curves here.")
    ] = Path(),
    as_json: Json = False,
) -> None:
    """Train a detector on your own labelled pictures.

    Saves pictures of the loss, of precision and recall, and of what is found on pictures it was
    not shown. Ctrl-C stops the training on the server as well.
    """
    options = {
        "format": format,
        "name": name,
        "preset": preset,
        "pretrained": pretrained,
        "side": side,
        "grid": grid,
        "boxes": boxes,
        "confidence": confidence,
        "bordered": bordered,
        "augment": augment,
        "flip": flip,
        "epochs": epochs,
        "batch_size": batch_size,
        "parts": parts,
        "optimiser": optimiser,
        "learning_rate": learning_rate,
        "weight_decay": weight_decay,
        "held_out": held_out,
        "patience": patience,
        "seed": seed,
        "score_threshold": score,
    }
    result, saved = run_on_data("detect.train", data, options, PICTURES, save)
    if as_json:
        write_json(describe_saved(result, saved))
        return
    rows = {fact: value for fact, value in result.items() if fact not in PICTURES}
    show_facts("detect.train", rows, as_json)
    tell_saved(saved)
    tell(f"`atelier detect PHOTO... --model {result['model']}` looks with it.")


@app.command()
def evaluate(
    data: Data,
    model: Model = None,
    format: Format = None,
    part: Annotated[Part | None, typer.Option(help="Only this part of the data.")] = None,
    score: Annotated[
        float | None, typer.Option(min=0, max=1, help="Less certain boxes do not count.")
    ] = None,
    iou: Iou = None,
    maximum: Annotated[
        int | None, typer.Option("--max", min=1, max=1000, help="Boxes per picture at most.")
    ] = None,
    overlap: Annotated[
        float | None, typer.Option(min=0, max=1, help="IoU from which a box is right.")
    ] = None,
    interpolation: Annotated[
        Interpolation | None, typer.Option(help="As VOC 2010 and later, or VOC 2007.")
    ] = None,
    inclusive: Annotated[
        bool, typer.Option("--inclusive", help="Boxes a pixel wider, as the VOC devkit has them.")
    ] = False,
    save: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Put the precision-recall picture here.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure a detector on labelled pictures, as Pascal VOC and COCO do."""
    options = {
        "model": model,
        "format": format,
        "part": part,
        "score_threshold": score,
        "iou_threshold": iou,
        "max_detections": maximum,
        "overlap": overlap,
        "interpolation": interpolation,
        "inclusive": inclusive,
    }
    result, saved = run_on_data("detect.evaluate", data, options, PICTURES, save)
    if as_json:
        write_json(describe_saved(result, saved))
        return
    columns = ("class", "average precision", "objects", "recall", "precision")
    write_table(columns, [_make_row(*of_class) for of_class in result.pop("classes").items()])
    del result["precision_recall"]
    show_facts("detect.evaluate", result, as_json)
    tell_saved(saved)


def _make_row(name: str, found: dict[str, Any]) -> tuple[str, ...]:
    precision = "" if found["precision"] is None else f"{found['precision']:.3f}"
    average, recall = f"{found['average_precision']:.3f}", f"{found['recall']:.3f}"
    return name, average, str(found["objects"]), recall, precision
