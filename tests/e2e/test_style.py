"""The style worker as its users have it: every program a process, every request over HTTP."""

import re
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from services.client.client import Client
from services.client.job import JobEvent
from tests.e2e.clients import change_in_flight, do, fail, finish, pack
from tests.workers.style.desk import draw_noise, draw_scene, draw_stripes, save

WORKER = "style"  # of the stack
DEFAULT, NAME = "stained-glass", "stripes"
PICTURES = 6  # to learn from
SIZE = (64, 48)
QUICK = {"size": 64, "scales": 1, "steps": 6}
LESSON = {
    "window": 48,
    "style_size": 48,
    "steps": 60,
    "batch_size": 2,
    "width": 8,
    "blocks": 1,
    "learning_rate": 1e-2,
}
TOLD = re.compile(r"step (\d+) of (\d+).*content [\d.e+-]+, style [\d.e+-]+, tv [\d.e+-]+")
Pixels = np.ndarray


@dataclass(frozen=True)
class Trained:
    """What came of the training that the other tests use, as stripes@1."""

    result: dict[str, Any]
    events: list[JobEvent]


@pytest.fixture(scope="module")
def scene(client: Client) -> str:
    """The blob id of a content."""
    return str(client.upload(save(draw_scene(*SIZE)))["id"])


@pytest.fixture(scope="module")
def stripes(client: Client) -> str:
    """The blob id of a style."""
    return str(client.upload(save(draw_stripes()))["id"])


@pytest.fixture(scope="module")
def dots(client: Client) -> str:
    """The blob id of another one."""
    return str(client.upload(save(draw_noise()))["id"])


@pytest.fixture(scope="module")
def trained(client: Client, stripes: str) -> Trained:
    files = {f"{n}.png": save(draw_scene(64 + 8 * n, 64)) for n in range(PICTURES)}
    data = client.upload(pack({**files, "notes.txt": "none of them"}))["id"]
    request = {"style": stripes, "data": data, "name": NAME, **LESSON}
    job = client.submit("style.train", request)
    events = list(client.events(job.id))
    return Trained(finish(client, job), events)


def open_picture(client: Client, blob_id: str, folder: Path) -> Image.Image:
    picture = Image.open(BytesIO(client.download(blob_id, folder / blob_id).read_bytes()))
    picture.load()
    return picture


def read_pixels(client: Client, blob_id: str, folder: Path) -> Pixels:
    """(H, W, 3) in [0, 255]."""
    return np.asarray(open_picture(client, blob_id, folder).convert("RGB"), np.float32)


def differ(first: Pixels, second: Pixels) -> float:
    """The mean difference of their bytes."""
    return float(np.abs(first - second).mean())


def paint(client: Client, folder: Path, content: str, *styles: str, **request: Any) -> Pixels:
    asked = {**QUICK, "content": content, "styles": list(styles), "format": "png", **request}
    return read_pixels(client, do(client, "style.transfer", **asked)["picture"], folder)


def list_previews(events: list[JobEvent]) -> list[str]:
    return [event.data["preview"] for event in events if event.data.get("preview")]


def test_a_transfer_tells_its_losses_and_shows_what_it_paints(
    client: Client, scene: str, stripes: str, tmp_path: Path
) -> None:
    request = {"content": scene, "styles": [stripes], "size": 64, "steps": 24, "preview_every": 6}
    job = client.submit("style.transfer", request)
    events = list(client.events(job.id))
    result = finish(client, job)
    told = [event.data for event in events if event.name in ("progress", "preview")]
    fractions = [one["fraction"] for one in told]
    assert fractions == sorted(fractions)
    steps = [found.groups() for one in told if (found := TOLD.search(one["step"]))]
    assert steps[-1][1] == "24"
    previews = list_previews(events)
    assert len(previews) >= 4
    for preview in previews:
        assert open_picture(client, preview, tmp_path).format == "JPEG"
    picture = open_picture(client, result["picture"], tmp_path)
    assert (picture.format, picture.size) == ("JPEG", SIZE) == ("JPEG", (64, 48))
    assert (result["width"], result["height"], result["steps"]) == (64, 48, 24)
    assert result["finished"]
    assert result["losses"]["style"] < result["start"]["style"]
    assert sum(scale["steps"] for scale in result["recipe"]["scales"]) == 24
    assert open_picture(client, result["curve"], tmp_path).width > 100


def test_a_cancelled_transfer_keeps_what_its_last_preview_showed(
    client: Client, scene: str, stripes: str, tmp_path: Path
) -> None:
    request = {"content": scene, "styles": [stripes], "size": 96, "steps": 10_000}
    job = client.submit("style.transfer", {**request, "scales": 1, "preview_every": 2})
    previews = 0
    for event in client.events(job.id):
        previews += bool(event.data.get("preview"))
        if previews == 3:
            client.cancel(job.id)
    ended = client.wait(job.id, timeout=60)
    assert (ended.state, previews >= 3) == ("cancelled", True)
    assert ended.result is not None
    assert not ended.result["finished"]
    assert 4 <= ended.result["steps"] < 10_000
    picture = open_picture(client, ended.result["picture"], tmp_path)
    assert picture.size == (ended.result["width"], ended.result["height"]) == (96, 72)
    assert paint(client, tmp_path, scene, stripes).shape == (48, 64, 3)


def test_only_what_the_mask_shows_is_painted(
    client: Client, scene: str, stripes: str, tmp_path: Path
) -> None:
    halves = Image.new("L", (320, 200), 0)  # of another size: it is stretched over the picture
    halves.paste(255, (160, 0, 320, 200))
    mask = client.upload(save(halves))["id"]
    painted = paint(client, tmp_path, scene, stripes, mask=mask)
    content = np.asarray(draw_scene(*SIZE), np.float32)
    assert differ(painted[:, :28], content[:, :28]) < 1
    assert differ(painted[:, 36:], content[:, 36:]) > 8


def test_the_colours_of_the_content_can_stay(
    client: Client, scene: str, stripes: str, tmp_path: Path
) -> None:
    content = np.asarray(draw_scene(*SIZE).convert("YCbCr"), np.float32)[..., 1:]

    def differ_in_colour(colours: str) -> float:
        painted = paint(client, tmp_path, scene, stripes, colours=colours, steps=20)
        image = Image.fromarray(painted.astype(np.uint8)).convert("YCbCr")
        return differ(np.asarray(image, np.float32)[..., 1:], content)

    assert differ_in_colour("content") < 0.5 * differ_in_colour("style")


def test_several_styles_weigh_as_much_as_is_asked(
    client: Client, scene: str, stripes: str, dots: str, tmp_path: Path
) -> None:
    alone = paint(client, tmp_path, scene, stripes)
    first, both, second = (
        paint(client, tmp_path, scene, stripes, dots, style_weights=weights)
        for weights in ([2, 0], [1, 1], [0, 2])
    )
    assert differ(first, alone) < 0.5
    assert differ(first, second) > 2
    assert 0.5 < differ(both, first) < differ(second, first)


def test_a_training_tells_its_losses_and_shows_pictures(
    client: Client, trained: Trained, tmp_path: Path
) -> None:
    told = [event.data for event in trained.events if event.name in ("progress", "preview")]
    fractions = [one["fraction"] for one in told]
    assert fractions == sorted(fractions)
    assert any("style" in one["step"] and "content" in one["step"] for one in told)
    previews = list_previews(trained.events)
    assert previews
    assert open_picture(client, previews[-1], tmp_path).width > 30
    assert trained.events[-1].name == "succeeded"
    result = trained.result
    assert (result["model"], result["steps"]) == (f"{NAME}@1", LESSON["steps"])
    assert (result["pictures"], result["left_out"]) == (PICTURES, 1)
    assert result["losses"]["total"] < 0.8 * result["start"]["total"]
    for name in ("curve", "samples"):
        assert open_picture(client, result[name], tmp_path).width > 100


def promote(client: Client, model: str) -> None:
    models = do(client, "style.promote", model=model)["models"]
    assert [one["model"] for one in models if one["in_use"]] == [model]


def find_painter(client: Client, picture: str, **request: Any) -> str:
    """The name of the model that paints a picture."""
    return str(do(client, "style.apply", picture=picture, **request)["model"])


@pytest.mark.usefixtures("trained")
def test_a_picture_is_painted_in_one_pass_as_strongly_as_is_asked(
    client: Client, scene: str, tmp_path: Path
) -> None:
    def paint_at(strength: float, **request: Any) -> Pixels:
        asked = {"picture": scene, "model": NAME, "strength": strength, **request}
        return read_pixels(client, do(client, "style.apply", **asked)["picture"], tmp_path)

    content = np.asarray(draw_scene(*SIZE), np.float32)
    unpainted, half, whole = (differ(paint_at(strength), content) for strength in (0, 0.5, 1))
    assert unpainted < 6  # what JPEG does to sharp edges of colour
    assert 1.5 * unpainted < half < whole
    assert paint_at(1, size=128).shape == (96, 128, 3)


def test_a_promoted_model_is_in_use_by_its_tenant_alone(
    client: Client, foreign: Client, trained: Trained, scene: str
) -> None:
    assert find_painter(client, scene) == DEFAULT
    promote(client, trained.result["model"])
    assert find_painter(client, scene) == trained.result["model"]
    own = foreign.upload(save(draw_scene(40, 40)))["id"]
    assert find_painter(foreign, own) == DEFAULT
    code, detail = fail(foreign, "style.apply", picture=own, model=trained.result["model"])
    assert code == "unknown_model"
    assert "style.models" in detail
    assert fail(foreign, "style.promote", model=trained.result["model"])[0] == "unknown_model"
    assert [one["model"] for one in do(foreign, "style.models")["models"]] == [DEFAULT]
    promote(client, DEFAULT)


def test_a_model_leaves_comes_back_is_rolled_back_and_forgotten(
    client: Client, trained: Trained, scene: str
) -> None:
    first, second = f"{NAME}@1", f"{NAME}@2"
    exported = do(client, "style.export", model=first, format="atelier")
    imported = do(client, "style.import", file=exported["file"], name=NAME)
    assert imported["model"] == second
    assert imported["parameters"] == trained.result["parameters"]
    painted = [
        do(client, "style.apply", picture=scene, model=model)["picture"]
        for model in (first, second)
    ]
    assert painted[0] == painted[1]
    for model in (second, first, DEFAULT, second):
        promote(client, model)
        assert find_painter(client, scene) == model
    assert find_painter(client, scene, model=NAME) == second
    left = do(client, "style.forget", model=second)["models"]
    assert [one["model"] for one in left if one["in_use"]] == [DEFAULT]
    assert find_painter(client, scene) == DEFAULT
    assert fail(client, "style.apply", picture=scene, model=second)[0] == "unknown_model"
    assert find_painter(client, scene, model=NAME) == first


def test_an_onnx_file_comes_with_how_far_its_answers_are_from_ours(
    client: Client, trained: Trained, tmp_path: Path
) -> None:
    found = do(client, "style.export", model=trained.result["model"])
    assert found["format"] == "onnx"
    assert found["difference"] < 1e-3
    written = client.download(found["file"], tmp_path / "onnx").stat().st_size
    assert written == found["bytes"] > 10_000


def test_jobs_in_flight_while_models_change_all_succeed(
    client: Client, trained: Trained, scene: str
) -> None:
    own = trained.result["model"]
    promote(client, DEFAULT)
    change_in_flight(
        lambda: find_painter(client, scene), lambda: promote(client, own), DEFAULT, own
    )
    promote(client, DEFAULT)
