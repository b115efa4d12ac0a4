"""The part of the demo of detect that trains a network, puts it in use, and deletes it again."""

from collections.abc import Generator
from random import Random
from typing import Any

from services.client.demos.rectangles import SIDE, draw_rectangle, pack_rectangles
from services.client.demos.scene import DemoFailed, Row, Scene, run_job, undo

PICTURES = 72
TRAINING = {  # some seconds on one core
    "name": "demo-rectangles",
    "side": SIDE,
    "grid": 4,
    "epochs": 20,
    "batch_size": 8,
    "learning_rate": 0.005,
    "augment": False,
    "score_threshold": 0.1,  # so few steps make no network sure
}
GOOD = 0.5  # mean average precision that it must reach
UNSEEN = 7  # the seed of a picture that it was not shown
JOBS = 6  # train, look, promote, look, roll back, delete


def use_own_detector(scene: Scene) -> Generator[Row, None, None]:
    """Nothing stays. In a stack that others may use, the network is never the one in use.

    Raises DemoFailed if the network finds too little.
    """
    data = scene.client.upload(pack_rectangles(PICTURES, seed=1))["id"]
    result, seconds = run_job(scene, "detect.train", {**TRAINING, "data": data})
    model = result["model"]
    try:
        yield _show_training(scene, result, seconds)
        yield _look(scene, model, by_name=True)
        if scene.own:
            yield from _put_in_use(scene, model)
    except BaseException:
        undo(scene, "detect.forget", {"model": model})
        raise
    result, seconds = run_job(scene, "detect.forget", {"model": model})
    yield Row(f"delete {model}", f"{len(result['models'])} models are left", seconds)


def _put_in_use(scene: Scene, model: str) -> Generator[Row, None, None]:
    """What was in use is so again afterwards."""
    before = _find_in_use(run_job(scene, "detect.models", {})[0])
    try:
        yield _promote(scene, model)
        yield _look(scene, model, by_name=False)
        yield _promote(scene, before)
    except BaseException:
        undo(scene, "detect.promote", {"model": before})
        raise


def _show_training(scene: Scene, result: dict[str, Any], seconds: float) -> Row:
    for name in ("curve", "samples"):
        scene.client.download(result[name], scene.folder / f"detect-{name}.jpg")
    precision = result["metrics"]["map50"]
    if precision < GOOD:
        raise DemoFailed(f"The mean average precision of {result['model']} is {precision:.2f}.")
    pictures = result["pictures"]
    shown = f"{result['model']}: mAP {precision:.2f} on {pictures['held_out']} it never saw"
    return Row(f"train on {pictures['learned']} drawn pictures", shown, seconds)


def _look(scene: Scene, model: str, by_name: bool) -> Row:
    """What the network finds on a picture it never saw, asked for by name or being in use."""
    picture, drawn = draw_rectangle(Random(UNSEEN))
    request = {"picture": scene.client.upload(picture)["id"], "annotate": True}
    chosen = {"model": model} if by_name else {}
    result, seconds = run_job(scene, "detect.objects", {**request, **chosen})
    if result["model"] != model:
        raise DemoFailed(f"{result['model']} answered, not {model}.")
    found = [f"{box['label']} {box['score']:.2f}" for box in result["boxes"]]
    if not found or result["boxes"][0]["label"] != drawn.label:
        raise DemoFailed(f"Not {drawn.label} was found, but: {', '.join(found) or 'nothing'}.")
    scene.client.download(result["annotated"], scene.folder / "detect-rectangle.jpg")
    asked = f"by {model}" if by_name else "no model named"
    return Row(f"a {drawn.label} rectangle, {asked}", ", ".join(found), seconds)


def _promote(scene: Scene, model: str) -> Row:
    result, seconds = run_job(scene, "detect.promote", {"model": model})
    in_use = _find_in_use(result)
    if in_use != model:
        raise DemoFailed(f"{in_use} is in use, not {model}.")
    return Row(f"promote {model}", f"{in_use} is in use", seconds)


def _find_in_use(listed: dict[str, Any]) -> str:
    return next(str(model["model"]) for model in listed["models"] if model["in_use"])
