"""The demo of detect: boxes around what real photographs show."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

from services.client.batch import Batch, Plan
from services.client.demos.scene import Demo, DemoFailed, Row, Scene
from services.client.photos import name_results

PHOTOS = (
    "astronaut.png",
    "biden.jpg",
    "chelsea.png",
    "china.jpg",
    "coffee.png",
    "motorcycle_left.png",
    "obama.jpg",
    "rocket.jpg",
)
SECOND_LOOK = ("coffee.png",)  # at what the default network misses
PLAIN_TO_SEE = {
    "nanodet-g": {
        "astronaut.png": "person",
        "biden.jpg": "person",
        "chelsea.png": "cat",
        "motorcycle_left.png": "motorbike",
        "obama.jpg": "person",
    },
    "yolov3-tiny": {"coffee.png": "cup"},
}
FILES = ("nanodet-g.json", "nanodet-g.bin", "yolov3-tiny.weights", "coco.names", *PHOTOS)


def detect_objects(scene: Scene) -> Generator[Row, None, None]:
    """Boxes drawn into real photographs, by both networks."""
    photos = [scene.files / name for name in PHOTOS]
    names = name_results(photos, scene.folder, ".jpg")
    yield from look(scene, "nanodet-g", names)
    again = {
        photo: place.with_stem(f"{place.stem}-yolov3-tiny")
        for photo, place in names.items()
        if photo.name in SECOND_LOOK
    }
    yield from look(scene, "yolov3-tiny", again)


def look(scene: Scene, model: str, names: dict[Path, Path]) -> Generator[Row, None, None]:
    """A row for each photograph, drawn to the file it maps to.

    Raises DemoFailed if an object that is plain to see was not found.
    """
    missing = dict(PLAIN_TO_SEE[model])
    plan = Plan(
        "detect.objects",
        lambda blob_id: {"picture": blob_id, "model": model, "annotate": True},
        save=lambda photo, job: scene.client.download(_read(job.result)["annotated"], names[photo]),
    )
    with Batch(scene.client, plan, parallel=len(names)) as batch:
        for outcome in batch.outcomes(names):
            if outcome.job is None or outcome.saved is None:
                raise DemoFailed(f"{outcome.photo.name}: {outcome.reason}")
            boxes = _read(outcome.job.result)["boxes"]
            if missing.get(outcome.photo.name) in {box["label"] for box in boxes}:
                del missing[outcome.photo.name]
            found = ", ".join(f"{box['label']} {box['score']:.2f}" for box in boxes)
            yield Row(f"{outcome.photo.name}, {model}", found or "nothing", outcome.seconds)
    if missing:
        lost = ", ".join(f"the {label} in {name}" for name, label in missing.items())
        raise DemoFailed(f"Objects that are plain to see were not found: {lost}.")


def _read(result: dict[str, Any] | None) -> dict[str, Any]:
    return result or {}


DEMO = Demo("detect", FILES, len(PHOTOS) + len(SECOND_LOOK), detect_objects)
