"""The demo of segment: what the pixels of photographs show, and a network of its own."""

from collections.abc import Generator
from pathlib import Path
from random import Random
from typing import Any

from services.client.demos.coloured_shapes import NAMES, Drawing, draw_shapes, pack_shapes
from services.client.demos.rectangles import SIDE
from services.client.demos.scene import Demo, DemoFailed, Row, Scene, run_job, undo

FILES = ("selfie.bin", "selfie.json", "china.jpg", "obama.jpg")
PLAIN_TO_SEE = {  # classes that a model has to find, each on SOME of the photo
    "fcn-8s-camvid": ("china.jpg", ("Sky", "Building", "Tree")),
    "selfie": ("obama.jpg", ("person",)),
}
SOME = 0.02  # of all pixels
LIKELY = ("Sky", "Tree")  # classes of the heat maps
PICTURES = 24
TRAINING = {  # some seconds on one core
    "name": "demo-shapes",
    "encoder": "thin",
    "pretrained": False,
    "height": SIDE,
    "width": SIDE,
    "epochs": 14,
    "batch_size": 8,
    "learning_rate": 0.015,
    "averaging": 0.7,
}
GOOD = 0.5  # mean IoU that it must reach
UNSEEN = 7  # the seed of a picture that it was not shown


def segment_pictures(scene: Scene) -> Generator[Row, None, None]:
    """Photographs, then drawn pictures by a network trained here; raises DemoFailed."""
    for model, (photo, plain) in PLAIN_TO_SEE.items():
        yield _segment(scene, model, photo, plain)
    yield _draw_heat_maps(scene)
    yield from _use_own_network(scene)


def _segment(scene: Scene, model: str, photo: str, plain: tuple[str, ...]) -> Row:
    """The classes' colours over a photograph."""
    result, seconds = _look_at(scene, scene.files / photo, {"model": model, "overlay": True})
    lost = [label for label in plain if _read_areas(result).get(label, 0.0) < SOME]
    if lost:
        raise DemoFailed(f"What is plain to see in {photo} was not found: {', '.join(lost)}.")
    _save(scene, result["overlay"], f"{photo.split('.')[0]}.jpg")
    return Row(f"{photo}, {model}", _describe(result), seconds)


def _draw_heat_maps(scene: Scene) -> Row:
    """How likely some classes are everywhere."""
    (model, (photo, _)), *_ = PLAIN_TO_SEE.items()
    fields = {"model": model, "heat_maps": True, "classes": [*LIKELY]}
    result, seconds = _look_at(scene, scene.files / photo, fields)
    drawn = {heat_map["label"]: heat_map for heat_map in result["heat_maps"]}
    if set(drawn) != set(LIKELY):
        raise DemoFailed(f"Heat maps of {', '.join(drawn) or 'nothing'} were drawn.")
    for label, heat_map in drawn.items():
        _save(scene, heat_map["picture"], f"heat-{label}.png")
    highest = ", ".join(f"{label} up to {drawn[label]['highest']:.2f}" for label in LIKELY)
    return Row(f"heat maps of {photo}", highest, seconds)


def _use_own_network(scene: Scene) -> Generator[Row, None, None]:
    """It is never in use where no model is named, and nothing of it stays."""
    data = scene.client.upload(pack_shapes(PICTURES, seed=1))["id"]
    result, seconds = run_job(scene, "segment.train", {**TRAINING, "data": data})
    model = {"model": result["model"]}
    try:
        yield _show_training(scene, result, seconds)
        yield _look(scene, result["model"], draw_shapes(Random(UNSEEN)))
    except BaseException:
        undo(scene, "segment.forget", model)
        raise
    result, seconds = run_job(scene, "segment.forget", model)
    yield Row(f"delete {model['model']}", f"{len(result['models'])} models are left", seconds)


def _show_training(scene: Scene, result: dict[str, Any], seconds: float) -> Row:
    for name in ("curve", "samples"):
        _save(scene, result[name], f"{name}.jpg")
    reached = result["measures"]["mean_iou"]
    if reached < GOOD:
        raise DemoFailed(f"The mean IoU of {result['model']} is {reached:.2f}.")
    pictures = result["pictures"]
    shown = f"{result['model']}: mean IoU {reached:.2f} on {pictures['held_out']} it never saw"
    return Row(f"train on {pictures['learned']} drawn pictures", shown, seconds)


def _look(scene: Scene, model: str, drawn: Drawing) -> Row:
    """What the network finds on a picture it never saw; raises DemoFailed if it is another."""
    result, seconds = _look_at(scene, drawn.picture, {"model": model, "overlay": True})
    areas = _read_areas(result)
    found = {name for name in NAMES if areas.get(name, 0.0) >= SOME}
    truth = {name for name in NAMES if drawn.measure(name) >= SOME}
    if found != truth:
        raise DemoFailed(f"Not {_join(truth)} was found, but: {_join(found)}.")
    _save(scene, result["overlay"], "shapes.jpg")
    return Row(f"a drawn picture of {_join(truth)}, {model}", _describe(result), seconds)


def _look_at(
    scene: Scene, picture: Path | bytes, fields: dict[str, Any]
) -> tuple[dict[str, Any], float]:
    request = {"picture": scene.client.upload(picture)["id"], **fields}
    return run_job(scene, "segment.pixels", request)


def _read_areas(result: dict[str, Any]) -> dict[str, float]:
    """The share of each class that is there."""
    return {area["label"]: area["share"] for area in result["areas"]}


def _describe(result: dict[str, Any]) -> str:
    areas = _read_areas(result)
    return ", ".join(f"{label} {share:.0%}" for label, share in areas.items() if share >= SOME)


def _join(names: set[str]) -> str:
    *rest, last = sorted(names) or ("nothing",)
    return f"{', '.join(rest)} and {last}" if rest else last


def _save(scene: Scene, blob_id: str, name: str) -> None:
    scene.client.download(blob_id, scene.folder / f"segment-{name}")


JOBS = len(PLAIN_TO_SEE) + 4  # heat maps, train, look, delete
DEMO = Demo("segment", FILES, JOBS, segment_pictures)
