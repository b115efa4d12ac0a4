"""The demo of style: photographs painted step by step and at once, and a network of its own."""

import zipfile
from collections.abc import Generator
from io import BytesIO
from pathlib import Path
from typing import Any

from services.client.demos.panes import draw_panes
from services.client.demos.scene import Demo, DemoFailed, Row, Scene, run_job, undo
from services.client.job import JobEvent

CONTENT, PORTRAIT = "china.jpg", "obama.jpg"
PHOTOS = (CONTENT, "coffee.png", PORTRAIT, "rocket.jpg")  # that the network learns from
FILES = ("vgg16.onnx", *PHOTOS)
PUBLISHED = "stained-glass"
SEED = 5  # of the style
TRANSFER = {  # some seconds on one core
    "size": 192,
    "scales": 1,
    "steps": 40,
    "strength": 2.0,
    "learning_rate": 0.2,
    "preview_every": 10,
}
FALLEN = 0.5  # of the style's loss at first: what may be left of it
LEARNED = 0.9  # and of the loss of the trained network
TRAINING = {  # some seconds on one core
    "name": "demo-panes",
    "window": 64,
    "style_size": 64,
    "width": 8,
    "blocks": 1,
    "steps": 60,
    "batch_size": 2,
    "learning_rate": 0.01,
}


def paint(scene: Scene) -> Generator[Row, None, None]:
    """By optimisation, by the network that is there, and by one of its own; raises DemoFailed."""
    style = scene.client.upload(draw_panes(SEED))["id"]
    scene.client.download(style, scene.folder / "style-panes.png")
    yield _transfer(scene, style)
    yield _apply(scene, PUBLISHED, PORTRAIT)
    yield from _use_own_network(scene, style)


def _transfer(scene: Scene, style: str) -> Row:
    """A photograph in the manner of the drawn one; its previews are counted as they come."""
    previews: list[str] = []

    def watch(event: JobEvent) -> None:
        if event.data.get("preview"):
            previews.append(event.data["preview"])

    content = scene.client.upload(scene.files / CONTENT)["id"]
    request = {"content": content, "styles": [style], **TRANSFER}
    result, seconds = run_job(scene, "style.transfer", request, on_event=watch)
    if not previews:
        raise DemoFailed("No preview was shown while the picture was painted.")
    first, last = (result[name]["style"] for name in ("start", "losses"))
    if last > FALLEN * first:
        raise DemoFailed(f"The loss of the style only fell from {first:.3g} to {last:.3g}.")
    scene.client.download(previews[0], scene.folder / "style-preview.jpg")
    scene.client.download(result["picture"], scene.folder / "style-china.jpg")
    told = f"{result['steps']} steps, {len(previews)} previews"
    return Row(f"{CONTENT} as drawn glass", f"{told}, style {first:.3g} -> {last:.3g}", seconds)


def _apply(scene: Scene, model: str, photo: str) -> Row:
    """A photograph painted at once."""
    picture = scene.client.upload(scene.files / photo)["id"]
    request = {"picture": picture, "model": model, "size": 320}
    result, seconds = run_job(scene, "style.apply", request)
    if result["model"] != model or result["picture"] == picture:
        raise DemoFailed(f"{photo} was not painted by {model}.")
    file = f"style-{Path(photo).stem}-{model.partition('@')[0]}.jpg"
    scene.client.download(result["picture"], scene.folder / file)
    return Row(f"{photo}, {model}", f"{result['width']} x {result['height']} pixels", seconds)


def _use_own_network(scene: Scene, style: str) -> Generator[Row, None, None]:
    """It is never in use where no model is named, and nothing of it stays."""
    data = scene.client.upload(_pack_photos(scene.files))["id"]
    request = {**TRAINING, "style": style, "data": data}
    result, seconds = run_job(scene, "style.train", request)
    model = {"model": result["model"]}
    try:
        yield _show_training(scene, result, seconds)
        yield _apply(scene, result["model"], CONTENT)
    except BaseException:
        undo(scene, "style.forget", model)
        raise
    result, seconds = run_job(scene, "style.forget", model)
    yield Row(f"delete {model['model']}", f"{len(result['models'])} models are left", seconds)


def _show_training(scene: Scene, result: dict[str, Any], seconds: float) -> Row:
    for name, suffix in {"curve": ".png", "samples": ".jpg"}.items():
        scene.client.download(result[name], scene.folder / f"style-{name}{suffix}")
    first, last = (result[name]["total"] for name in ("start", "losses"))
    if last > LEARNED * first:
        raise DemoFailed(f"The loss of {result['model']} went from {first:.3g} to {last:.3g}.")
    told = f"{result['model']}: loss {first:.3g} -> {last:.3g}"
    return Row(f"train on {result['pictures']} photographs", told, seconds)


def _pack_photos(folder: Path) -> bytes:
    """A zip of those that the network learns from."""
    content = BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in PHOTOS:
            archive.writestr(zipfile.ZipInfo(name), (folder / name).read_bytes())
    return content.getvalue()


JOBS = 5  # paint, at once, train, at once, delete
DEMO = Demo("style", FILES, JOBS, paint)
