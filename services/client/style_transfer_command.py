"""`atelier style transfer`, or `atelier style` alone: a photo painted in the manner of others."""

from pathlib import Path
from typing import Annotated, Any

import typer

from services.client.client import Client
from services.client.console import (
    SOME_FAILED,
    USAGE,
    connect,
    leave,
    tell,
    write_json,
    write_table,
)
from services.client.job import Job
from services.client.options import Json
from services.client.requests import check_request
from services.client.style_options import (
    Colour,
    Colours,
    ContentLayers,
    Cost,
    Force,
    Mask,
    Mix,
    Network,
    Optimiser,
    Pooling,
    Precision,
    Preset,
    Start,
    StyleLayers,
)
from services.client.style_places import Places, choose_file
from services.client.watch import Watch

app = typer.Typer()

TASK = "style.transfer"
PATIENCE = 60.0  # seconds for a job that was cancelled to end
LOSSES = {"content": "content", "style": "style", "tv": "total variation", "total": "total"}


@app.command()
def transfer(
    content: Annotated[Path, typer.Argument(metavar="CONTENT", help="The photo to paint.")],
    styles: Annotated[
        list[Path], typer.Argument(metavar="STYLE...", help="Pictures in whose manner.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A .jpg or .png; CONTENT-STYLE.jpg unless given."),
    ] = None,
    force: Force = False,
    png: Annotated[bool, typer.Option("--png", help="Save a PNG, without any loss.")] = False,
    opened: Annotated[
        bool, typer.Option("--open", help="Show the result when it is done.")
    ] = False,
    previews: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Put each preview here as it comes, numbered."),
    ] = None,
    curve: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Put a picture of the losses here.")
    ] = None,
    preset: Annotated[
        Preset, typer.Option(help="What layers, weights and steps are unless they are given.")
    ] = Preset.quick,
    size: Annotated[
        int | None,
        typer.Option(
            min=32,
            max=2048,
            help="Pixels of the longer side of the painting; unless given, the preset's, but no "
            "more than the photo has.",
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            min=1, max=10_000, help="Steps of all sizes together; the preset's unless given."
        ),
    ] = None,
    scales: Annotated[
        int | None,
        typer.Option(
            min=1, max=4, help="How many sizes, from coarse to fine; the preset's unless given."
        ),
    ] = None,
    strength: Annotated[
        float, typer.Option(min=0, max=1000, help="The weight of the style times this.")
    ] = 1.0,
    content_weight: Annotated[
        float | None,
        typer.Option(
            min=0, max=1e12, help="How much the photo's shapes count; the preset's unless given."
        ),
    ] = None,
    style_weight: Annotated[
        float | None,
        typer.Option(min=0, max=1e12, help="How much the style counts; the preset's unless given."),
    ] = None,
    tv_weight: Annotated[
        float | None,
        typer.Option(
            min=0, max=1e12, help="How much smoothness counts; the preset's unless given."
        ),
    ] = None,
    mix: Mix = None,
    content_layers: ContentLayers = None,
    style_layers: StyleLayers = None,
    network: Annotated[
        Network, typer.Option(help="vgg19: after `atelier weights pull vgg19.pth`.")
    ] = Network.vgg16,
    pooling: Annotated[
        Pooling | None,
        typer.Option(help="How the network halves its maps; the preset's unless given."),
    ] = None,
    cost: Annotated[
        Cost | None,
        typer.Option(help="How a layer's style is measured; ng: deep layers count more."),
    ] = None,
    optimiser: Annotated[
        Optimiser | None,
        typer.Option(help="What changes the pixels at each step; the preset's unless given."),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(min=0, max=100, help="Learning rate at first; the preset's unless given."),
    ] = None,
    start: Annotated[Start, typer.Option(help="What is painted over.")] = Start.content,
    seed: Annotated[
        int, typer.Option(min=0, max=2**31, help="Fixes the noise that is painted over.")
    ] = 0,
    style_scale: Annotated[
        float,
        typer.Option(min=0.1, max=4, help="Size of the style's marks; 2: twice as large."),
    ] = 1.0,
    colours: Colours = Colour.style,
    mask: Mask = None,
    preview_every: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=10_000,
            help="Steps from one preview to the next; unless given, a few seconds.",
        ),
    ] = None,
    precision: Annotated[
        Precision, typer.Option(help="How exactly the network computes; auto: what is fast here.")
    ] = Precision.auto,
    as_json: Json = False,
) -> None:
    """Paint a photo in the manner of other pictures, step by step.

    Shows the losses as they fall. Ctrl-C stops the job on the server, and what was painted so far
    is saved. Ends with 0 if it is finished, 1 if it failed, 2 for what cannot be asked or a file in
    the way, 3 without a server or a valid key, and 130 after Ctrl-C.
    """
    places = Places(choose_file(out, content, styles[0], png), previews, curve)
    options = {
        "style_weights": mix or None,
        "preset": preset,
        "size": size,
        "steps": steps,
        "scales": scales,
        "strength": strength,
        "content_weight": content_weight,
        "style_weight": style_weight,
        "tv_weight": tv_weight,
        "content_layers": content_layers or None,
        "style_layers": style_layers or None,
        "network": network,
        "pooling": pooling,
        "cost": cost,
        "optimiser": optimiser,
        "learning_rate": learning_rate,
        "start": start,
        "seed": seed,
        "style_scale": style_scale,
        "colours": colours,
        "preview_every": preview_every,
        "precision": precision,
        "format": places.format,
    }
    check_request(TASK, options)
    pictures = [content, *styles, *([mask] if mask else [])]
    _check_pictures(pictures)
    places.check(pictures, force)
    with connect() as client:
        sent = {"content": _send(client, content), "styles": [_send(client, s) for s in styles]}
        request = {**options, **sent, "mask": _send(client, mask) if mask else None}
        job, interrupted = _follow(client, request, places)
        saved = places.save(client, job.result) if job.result else []
    _show(job, places, saved, as_json)
    if interrupted:
        raise KeyboardInterrupt
    if not job.succeeded:
        raise leave(job.reason, SOME_FAILED)
    if opened and typer.launch(str(places.painting)):
        tell("No program here shows pictures.")


def _check_pictures(files: list[Path]) -> None:
    for file in files:
        if not file.is_file():
            raise leave(f"There is no file {file}.", USAGE)


def _send(client: Client, file: Path) -> str:
    return str(client.upload(file)["id"])


def _follow(client: Client, request: dict[str, Any], places: Places) -> tuple[Job, bool]:
    """(the job once it has ended, whether Ctrl-C ended it)."""
    job = None
    try:
        with Watch(client, TASK) as watch:
            job = watch.submit(TASK, request)
            ended = watch.follow(job, on_event=lambda event: places.take_preview(client, event))
            return ended, False
    except KeyboardInterrupt:  # the watch has cancelled it
        if job is None:
            raise
        return client.wait(job.id, PATIENCE), True


def _show(job: Job, places: Places, saved: list[str], as_json: bool) -> None:
    """What came out: the losses before and after, and the files."""
    previews = [str(file) for file in places.saved]
    if as_json:
        facts = {"job": job.id, "state": job.state, "result": job.result, "error": job.error}
        write_json({**facts, "saved": saved, "previews": previews})
        return
    if job.result:
        _show_losses(job.result)
        _tell_painting(job, places.painting)
    if previews:
        tell(f"{len(previews)} previews are in {places.previews}.")


def _show_losses(result: dict[str, Any]) -> None:
    """Each times its weight, and their sum."""
    pairs = {
        words: (result["start"][name], result["losses"][name]) for name, words in LOSSES.items()
    }
    rows = [(words, *(f"{loss:.4g}" for loss in pair)) for words, pair in pairs.items()]
    write_table(("loss", "at first", "at last"), rows)


def _tell_painting(job: Job, file: Path) -> None:
    result = job.result or {}
    unfinished = "" if result["finished"] else "Not finished. "
    took = "" if job.seconds is None else f" in {job.seconds:.1f} s"
    size = f"{result['width']} x {result['height']}"
    tell(f"{unfinished}{file}: {size} pixels, {result['steps']} steps{took}.")
