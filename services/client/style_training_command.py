"""`atelier style train`: a network of your own that paints any photo in one style, at once."""

from pathlib import Path
from typing import Annotated

import typer

from services.client.client import Client
from services.client.console import USAGE, connect, leave, tell, write_json
from services.client.facts import show_facts
from services.client.folder_zip import send_files, send_pictures
from services.client.labelled_data import describe_saved, tell_saved
from services.client.options import Json, Name
from services.client.photo_jobs import find_or_leave
from services.client.photos import is_picture, name_results
from services.client.requests import check_request
from services.client.saved_files import make_folder, save_pictures
from services.client.watch import run_task

app = typer.Typer()

TASK = "style.train"
DRAWN = {"curve": "curve.png", "samples": "samples.jpg"}  # of a result, and how files end


@app.command()
def train(
    style: Annotated[Path, typer.Argument(metavar="STYLE", help="A picture.")],
    data: Annotated[
        list[str],
        typer.Argument(metavar="FOLDER|ZIP|PHOTO...", help="Any pictures to learn from."),
    ],
    name: Name = "style",
    window: Annotated[
        int, typer.Option(min=32, max=1024, help="Pixels of a side of the squares it sees.")
    ] = 192,
    style_size: Annotated[
        int, typer.Option(min=32, max=2048, help="Pixels of STYLE: more for larger marks.")
    ] = 256,
    steps: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Steps of the optimiser.")
    ] = 2000,
    batch_size: Annotated[
        int, typer.Option(min=1, max=64, help="Squares it sees at each step.")
    ] = 2,
    width: Annotated[int, typer.Option(min=4, max=64, help="Channels of the first layer.")] = 32,
    blocks: Annotated[int, typer.Option(min=1, max=16, help="Residual blocks.")] = 5,
    content_layer: Annotated[
        str, typer.Option(metavar="LAYER", help="Where shapes are compared.")
    ] = "relu3_3",
    style_layers: Annotated[
        list[str] | None,
        typer.Option(
            "--style-layer",
            metavar="LAYER",
            help="Where styles are compared; repeatable; unless given, relu1_2, relu2_2, relu3_3 "
            "and relu4_3.",
        ),
    ] = None,
    content_weight: Annotated[
        float, typer.Option(min=0, max=1e12, help="How much the photo's shapes count.")
    ] = 1.0,
    style_weight: Annotated[
        float,
        typer.Option(
            min=0, max=1e12, help="How much the style counts; more leaves less of the photo."
        ),
    ] = 5.0,
    tv_weight: Annotated[
        float, typer.Option(min=0, max=1e12, help="How much smoothness counts.")
    ] = 1.0,
    learning_rate: Annotated[
        float, typer.Option(min=0, max=1, help="Learning rate of the optimiser.")
    ] = 1e-3,
    seed: Annotated[
        int, typer.Option(min=0, max=2**31, help="Fixes the first weights and what is seen.")
    ] = 0,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Put the pictures of the curve and samples here.")
    ] = Path(),
    as_json: Json = False,
) -> None:
    """Train a network that paints any photo in the manner of one picture, at once.

    Shows the losses while it learns. Saves a picture of them, and photos as it paints them. Ctrl-C
    stops the training on the server as well.
    """
    options = {
        "name": name,
        "window": window,
        "style_size": style_size,
        "steps": steps,
        "batch_size": batch_size,
        "width": width,
        "blocks": blocks,
        "content_layer": content_layer,
        "style_layers": style_layers or None,
        "content_weight": content_weight,
        "style_weight": style_weight,
        "tv_weight": tv_weight,
        "learning_rate": learning_rate,
        "seed": seed,
    }
    check_request(TASK, options)
    if not style.is_file():
        raise leave(f"There is no file {style}.", USAGE)
    photos = [] if _is_whole(data) else find_or_leave(data)
    make_folder(out)
    with connect() as client:
        sent = _send_photos(client, photos) if photos else send_pictures(client, Path(data[0]))
        request = {"style": client.upload(style)["id"], "data": sent, **options}
        result = run_task(client, TASK, request)
        saved = save_pictures(client, result, DRAWN, out)
    if as_json:
        write_json(describe_saved(result, saved))
        return
    show_facts(TASK, {name: result[name] for name in result if name not in DRAWN}, False)
    tell_saved(saved)
    tell(f"`atelier style apply PHOTO... --model {result['model']}` paints with it.")


def _is_whole(data: list[str]) -> bool:
    """Whether a folder or a zip is meant, not photos."""
    (first, *rest) = map(Path, data)
    return not rest and (first.is_dir() or (first.is_file() and not is_picture(first)))


def _send_photos(client: Client, photos: list[Path]) -> str:
    """The blob id of their zip; those of one name get a number."""
    names = name_results(photos, Path(), "")
    return send_files(client, {photo: Path(f"{names[photo]}{photo.suffix}") for photo in photos})
