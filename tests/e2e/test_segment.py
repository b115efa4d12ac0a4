"""The segment worker as its users have it: every program a process, every request over HTTP."""

import json
from collections import Counter
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from services.client.client import Client
from services.client.job import JobEvent
from tests.e2e.clients import change_in_flight, do, fail, finish, pack_folder
from tests.workers.segment.coloured import CLASSES, SIZE, make_pictures, write_pictures

WORKER = "segment"  # of the stack
DEFAULT, NAME = "fcn-8s-camvid", "rectangles"
COLOURS = [[200, 200, 200], [255, 0, 0], [0, 0, 255]]
LEARNED, HELD_OUT = 32, 8  # pictures
OPTIONS = {
    "encoder": "thin",
    "height": SIZE,
    "width": SIZE,
    "epochs": 16,
    "augment": False,
    "batch_size": 4,
    "learning_rate": 4e-3,
}


@dataclass(frozen=True)
class Trained:
    """What came of the training that the other tests use, as rectangles@1."""

    data: str  # blob id of the zip
    result: dict[str, Any]
    events: list[JobEvent]


@pytest.fixture(scope="module")
def trained(client: Client, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("data")
    write_pictures(folder / "train", LEARNED)
    write_pictures(folder / "val", HELD_OUT, seed=1)
    classes = [
        {"name": name, "colour": colour}
        for name, colour in zip(CLASSES.names, COLOURS, strict=True)
    ]
    (folder / "classes.json").write_text(json.dumps({"classes": classes}))
    data = client.upload(pack_folder(folder))["id"]
    job = client.submit("segment.train", {"data": data, "name": NAME, **OPTIONS})
    events = list(client.events(job.id))
    return Trained(data, finish(client, job), events)


UNSEEN = make_pictures(1, seed=9).pictures[0]  # two rectangles that nobody learned from


@pytest.fixture(scope="module")
def picture(client: Client) -> str:
    """The blob id of UNSEEN."""
    return str(client.upload(UNSEEN.read())["id"])


def promote(client: Client, model: str) -> None:
    models = do(client, "segment.promote", model=model)["models"]
    assert [one["model"] for one in models if one["in_use"]] == [model]


def see(client: Client, picture: str, **request: Any) -> str:
    """The name of the model that looks at a picture."""
    return str(do(client, "segment.pixels", picture=picture, **request)["model"])


def open_picture(client: Client, blob_id: str, folder: Path) -> Image.Image:
    picture = Image.open(BytesIO(client.download(blob_id, folder / blob_id).read_bytes()))
    picture.load()
    return picture


def test_a_training_tells_its_loss_and_shows_pictures(
    client: Client, trained: Trained, tmp_path: Path
) -> None:
    told = [event.data for event in trained.events if event.name in ("progress", "preview")]
    fractions = [one["fraction"] for one in told]
    assert fractions == sorted(fractions)
    assert any("loss" in one["step"] and "IoU" in one["step"] for one in told)
    previews = [one["preview"] for one in told if one["preview"]]
    assert previews
    assert open_picture(client, previews[-1], tmp_path).width > 100
    assert trained.events[-1].name == "succeeded"
    result = trained.result
    assert (result["model"], result["classes"]) == (f"{NAME}@1", list(CLASSES.names))
    assert result["pictures"] == {"learned": LEARNED, "held_out": HELD_OUT}
    assert (result["resolution"], result["epochs"]) == (SIZE, OPTIONS["epochs"])
    assert result["measures"]["mean_iou"] > 0.6
    assert set(result["per_class"]) == set(CLASSES.names)
    for name in ("curve", "samples"):
        assert open_picture(client, result[name], tmp_path).width > 100


def test_a_model_measures_as_well_again_as_after_its_training(
    client: Client, trained: Trained, tmp_path: Path
) -> None:
    found = do(client, "segment.evaluate", data=trained.data, part="val", model=NAME)
    assert found["model"] == f"{NAME}@1"
    assert (found["pictures"], found["pixels"]) == (HELD_OUT, HELD_OUT * SIZE * SIZE)
    assert found["measures"] == pytest.approx(trained.result["measures"], abs=1e-3)
    for name, view in trained.result["per_class"].items():
        assert found["per_class"][name] == pytest.approx(view, abs=1e-3)
    for name in ("confusion", "samples"):
        assert open_picture(client, found[name], tmp_path).width > 100
    code, detail = fail(client, "segment.evaluate", data=trained.data, model=DEFAULT)
    assert code == "invalid_input"
    assert "red" in detail
    assert fail(client, "segment.evaluate", data=trained.data, model=NAME, part="test")[0] == code


@pytest.mark.usefixtures("trained")
def test_an_answer_is_a_mask_with_areas_and_pictures(
    client: Client, picture: str, tmp_path: Path
) -> None:
    found = do(
        client,
        "segment.pixels",
        picture=picture,
        model=NAME,
        overlay=True,
        heat_maps=True,
        shapes="polygons",
    )
    assert (found["width"], found["height"]) == (SIZE, SIZE)
    mask = open_picture(client, found["mask"], tmp_path)
    assert (mask.format, mask.mode, mask.size) == ("PNG", "P", (SIZE, SIZE))
    palette = mask.getpalette()
    assert palette is not None
    assert palette[: 3 * len(COLOURS)] == [byte for colour in COLOURS for byte in colour]
    indices = np.asarray(mask)
    assert (indices == UNSEEN.open_mask(CLASSES)).mean() > 0.9

    pixels = [area["pixels"] for area in found["areas"]]
    assert pixels == sorted(pixels, reverse=True)
    assert sum(pixels) == SIZE * SIZE
    for area in found["areas"]:
        number = area["class_id"]
        assert (area["label"], area["colour"]) == (CLASSES.names[number], COLOURS[number])
        assert area["pixels"] == (indices == number).sum()
        assert area["share"] == pytest.approx(area["pixels"] / SIZE**2)

    overlay = open_picture(client, found["overlay"], tmp_path)
    assert (overlay.format, overlay.size) == ("JPEG", (SIZE, SIZE))
    assert not overlay.getexif()
    assert set(overlay.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    for heat in found["heat_maps"]:
        drawn = open_picture(client, heat["picture"], tmp_path)
        assert (drawn.mode, drawn.size) == ("P", (SIZE, SIZE))
        assert np.asarray(drawn).max() == pytest.approx(255 * heat["highest"], abs=2)
    shapes = json.loads(client.download(found["shapes"], tmp_path / "shapes").read_text())
    assert {one["name"] for one in shapes["categories"]} == set(CLASSES.names)
    names = {one["id"]: one["name"] for one in shapes["categories"]}
    written = Counter[str]()
    for region in shapes["annotations"]:
        written[names[region["category_id"]]] += region["area"]
    assert written == Counter({area["label"]: area["pixels"] for area in found["areas"]})


def test_a_promoted_model_is_in_use_by_its_tenant_alone(
    client: Client, foreign: Client, trained: Trained, picture: str
) -> None:
    assert see(client, picture) == DEFAULT
    promote(client, trained.result["model"])
    assert see(client, picture) == trained.result["model"]
    own = foreign.upload(make_pictures(1).pictures[0].read())["id"]
    assert see(foreign, own) == DEFAULT
    code, detail = fail(foreign, "segment.pixels", picture=own, model=trained.result["model"])
    assert code == "unknown_model"
    assert "segment.models" in detail
    assert fail(foreign, "segment.promote", model=trained.result["model"])[0] == "unknown_model"
    listed = do(foreign, "segment.models")["models"]
    assert [one["model"] for one in listed] == [DEFAULT, "selfie", "fcn-resnet50"]
    promote(client, DEFAULT)


def test_a_model_leaves_comes_back_is_rolled_back_and_forgotten(
    client: Client, trained: Trained, picture: str
) -> None:
    first, second = f"{NAME}@1", f"{NAME}@2"
    exported = do(client, "segment.export", model=first, format="atelier")
    imported = do(client, "segment.import", file=exported["file"], name=NAME)
    assert imported["model"] == second
    assert imported["parameters"] == trained.result["parameters"]
    answers = [
        do(client, "segment.pixels", picture=picture, model=model) for model in (first, second)
    ]
    assert answers[0]["mask"] == answers[1]["mask"]
    assert answers[0]["areas"] == answers[1]["areas"]
    for model in (second, first, DEFAULT, second):
        promote(client, model)
        assert see(client, picture) == model
    assert see(client, picture, model=NAME) == second
    left = do(client, "segment.forget", model=second)["models"]
    assert [one["model"] for one in left if one["in_use"]] == [DEFAULT]
    assert see(client, picture) == DEFAULT
    assert fail(client, "segment.pixels", picture=picture, model=second)[0] == "unknown_model"
    assert see(client, picture, model=NAME) == first


def test_an_onnx_file_comes_with_how_far_its_answers_are_from_ours(
    client: Client, trained: Trained, tmp_path: Path
) -> None:
    found = do(client, "segment.export", model=trained.result["model"], height=96, width=128)
    assert found["classes"] == list(CLASSES.names)
    assert found["difference"] < 1e-3
    written = client.download(found["file"], tmp_path / "onnx").stat().st_size
    assert written == found["bytes"] > 1_000_000


def test_jobs_in_flight_while_models_change_all_succeed(
    client: Client, trained: Trained, picture: str
) -> None:
    own = trained.result["model"]
    promote(client, DEFAULT)
    change_in_flight(lambda: see(client, picture), lambda: promote(client, own), DEFAULT, own)
    promote(client, DEFAULT)
