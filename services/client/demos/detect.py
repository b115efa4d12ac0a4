"""The demo of detect: boxes around what photographs show, a network of its own, a video."""

import zipfile
from collections.abc import Generator
from io import BytesIO
from pathlib import Path
from typing import Any

from services.client.batch import Batch, Plan
from services.client.demos import own_detector
from services.client.demos.scene import Demo, DemoFailed, Row, Scene, run_job
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
    """Photographs, a network trained here, a video; raises DemoFailed."""
    yield from _look_at_photos(scene)
    yield from own_detector.use_own_detector(scene)
    yield _watch(scene)


def _look_at_photos(scene: Scene) -> Generator[Row, None, None]:
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


def _watch(scene: Scene) -> Row:
    """The photographs as the frames of a video."""
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in PHOTOS:
            archive.write(scene.files / name, name)
    video = scene.client.upload(packed.getvalue())["id"]
    result, seconds = run_job(
        scene, "detect.stream", {"video": video, "model": "nanodet-g", "fps": 1}
    )
    if result["frames"] != len(PHOTOS) or not result["objects"]:
        raise DemoFailed(f"In {result['frames']} frames was found: {result['objects']}.")
    scene.client.download(result["annotated"], scene.folder / "detect-video.mp4")
    found = ", ".join(f"{count} x {label}" for label, count in result["objects"].items())
    return Row(f"a video of {result['frames']} photographs", found, seconds)


JOBS = len(PHOTOS) + len(SECOND_LOOK) + own_detector.JOBS + 1
DEMO = Demo("detect", FILES, JOBS, detect_objects)
