"""The demo of detect: boxes around what real photographs show."""

from collections.abc import Generator
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
PLAIN_TO_SEE = {
    "biden.jpg": "person",
    "coffee.png": "cup",
    "motorcycle_left.png": "motorbike",
    "obama.jpg": "tie",
}


def detect_objects(scene: Scene) -> Generator[Row, None, None]:
    """Boxes drawn into real photographs."""
    photos = [scene.files / name for name in PHOTOS]
    names = name_results(photos, scene.folder, ".jpg")
    missing = dict(PLAIN_TO_SEE)
    plan = Plan(
        "detect.objects",
        lambda blob_id: {"picture": blob_id, "annotate": True},
        save=lambda photo, job: scene.client.download(_read(job.result)["annotated"], names[photo]),
    )
    with Batch(scene.client, plan, parallel=len(photos)) as batch:
        for outcome in batch.outcomes(photos):
            if outcome.job is None or outcome.saved is None:
                raise DemoFailed(f"{outcome.photo.name}: {outcome.reason}")
            boxes = _read(outcome.job.result)["boxes"]
            if missing.get(outcome.photo.name) in {box["label"] for box in boxes}:
                del missing[outcome.photo.name]
            found = ", ".join(f"{box['label']} {box['score']:.2f}" for box in boxes)
            yield Row(outcome.photo.name, found or "nothing", outcome.seconds)
    if missing:
        lost = ", ".join(f"the {label} in {name}" for name, label in missing.items())
        raise DemoFailed(f"Objects that are plain to see were not found: {lost}.")


def _read(result: dict[str, Any] | None) -> dict[str, Any]:
    return result or {}


DEMO = Demo("detect", ("yolov3-tiny.weights", "coco.names", *PHOTOS), len(PHOTOS), detect_objects)
