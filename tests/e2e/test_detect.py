"""The detect worker as its users have it: every program a real process, every request over HTTP."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from services.client.client import Client
from services.client.job import JobEvent
from tests.e2e.clients import do, fail, finish, pack, pack_folder
from tests.workers.detect.coloured import make_pictures, write_yolo

WORKER = "detect"  # of the stack
NAME = "rectangles"
LEARNED, HELD_OUT = 48, 12  # pictures
OPTIONS = {
    "side": 64,
    "grid": 4,
    "epochs": 20,
    "augment": False,
    "batch_size": 8,
    "learning_rate": 5e-3,
}
IN_FLIGHT = 100  # jobs


@dataclass(frozen=True)
class Trained:
    """What came of the training that the other tests use, as rectangles@1."""

    data: str  # blob id of the zip
    result: dict[str, Any]
    events: list[JobEvent]


@pytest.fixture(scope="module")
def trained(client: Client, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("data")
    write_yolo(folder, LEARNED, "train")
    write_yolo(folder, HELD_OUT, "val", seed=1)
    data = client.upload(pack_folder(folder))["id"]
    job = client.submit("detect.train", {"data": data, "name": NAME, **OPTIONS})
    events = list(client.events(job.id))
    return Trained(data, finish(client, job), events)


@pytest.fixture(scope="module")
def picture(client: Client) -> str:
    """The blob id of a picture with two rectangles that nobody learned from."""
    return str(client.upload(make_pictures(1, seed=9).pictures[0].read())["id"])


def promote(client: Client, model: str) -> None:
    models = do(client, "detect.promote", model=model)["models"]
    assert [one["model"] for one in models if one["in_use"]] == [model]


def see(client: Client, picture: str, **request: Any) -> str:
    """The name of the model that looks at a picture."""
    return str(do(client, "detect.objects", picture=picture, **request)["model"])


def open_picture(client: Client, blob_id: str, folder: Path) -> Image.Image:
    picture = Image.open(client.download(blob_id, folder / blob_id))
    picture.load()
    return picture


def test_a_training_tells_its_loss_and_shows_pictures(
    client: Client, trained: Trained, tmp_path: Path
) -> None:
    told = [event.data for event in trained.events if event.name in ("progress", "preview")]
    fractions = [one["fraction"] for one in told]
    assert fractions == sorted(fractions)
    assert any("loss" in one["step"] and "mAP" in one["step"] for one in told)
    previews = [one["preview"] for one in told if one["preview"]]
    assert previews
    assert open_picture(client, previews[-1], tmp_path).width > 100
    assert trained.events[-1].name == "succeeded"
    result = trained.result
    assert (result["model"], result["classes"]) == (f"{NAME}@1", ["red", "blue"])
    assert result["pictures"] == {"learned": LEARNED, "held_out": HELD_OUT}
    assert result["metrics"]["map50"] > 0.5
    for name in ("curve", "precision_recall", "samples"):
        assert open_picture(client, result[name], tmp_path).width > 100


def test_a_model_measures_as_well_again_as_after_its_training(
    client: Client, trained: Trained
) -> None:
    found = do(client, "detect.evaluate", data=trained.data, part="val", model=NAME)
    assert found["model"] == f"{NAME}@1"
    assert found["pictures"] == HELD_OUT
    assert found["objects"] == 2 * HELD_OUT
    metrics = trained.result["metrics"]
    assert found["mean_average_precision"] == pytest.approx(metrics["map50"], abs=1e-3)
    assert found["mean_of_sure"] == pytest.approx(metrics["map50_of_sure"], abs=1e-3)
    assert found["coco"]["at_50"] == pytest.approx(found["mean_average_precision"], abs=0.05)
    code, detail = fail(client, "detect.evaluate", data=trained.data, model="nanodet-g")
    assert code == "invalid_input"
    assert "red" in detail
    assert fail(client, "detect.evaluate", data=trained.data, model=NAME, part="test")[0] == code


def test_a_promoted_model_is_in_use_by_its_tenant_alone(
    client: Client, foreign: Client, trained: Trained, picture: str
) -> None:
    assert see(client, picture) == "nanodet-g"
    promote(client, trained.result["model"])
    seen = do(client, "detect.objects", picture=picture, annotate=True)
    assert seen["model"] == trained.result["model"]
    assert seen["boxes"]
    assert {box["label"] for box in seen["boxes"]} <= {"red", "blue"}
    own = foreign.upload(make_pictures(1).pictures[0].read())["id"]
    assert see(foreign, own) == "nanodet-g"
    code, detail = fail(foreign, "detect.objects", picture=own, model=trained.result["model"])
    assert code == "unknown_model"
    assert "detect.models" in detail
    assert fail(foreign, "detect.promote", model=trained.result["model"])[0] == "unknown_model"
    listed = do(foreign, "detect.models")["models"]
    assert [one["model"] for one in listed] == ["nanodet-g", "yolov3-tiny"]
    promote(client, "nanodet-g")


def test_a_model_leaves_comes_back_is_rolled_back_and_forgotten(
    client: Client, trained: Trained, picture: str
) -> None:
    first, second = f"{NAME}@1", f"{NAME}@2"
    exported = do(client, "detect.export", model=first, format="atelier")
    imported = do(client, "detect.import", file=exported["file"], name=NAME)
    assert imported["model"] == second
    assert imported["parameters"] == trained.result["parameters"]
    boxes = [
        do(client, "detect.objects", picture=picture, model=model)["boxes"]
        for model in (first, second)
    ]
    assert boxes[0] == boxes[1] != []
    for model in (second, first, "nanodet-g", second):
        promote(client, model)
        assert see(client, picture) == model
    assert see(client, picture, model=NAME) == second
    left = do(client, "detect.forget", model=second)["models"]
    assert [one["model"] for one in left if one["in_use"]] == ["nanodet-g"]
    assert see(client, picture) == "nanodet-g"
    assert fail(client, "detect.objects", picture=picture, model=second)[0] == "unknown_model"
    assert see(client, picture, model=NAME) == first


@pytest.mark.usefixtures("trained")
def test_the_pictures_of_a_zip_are_a_stream(client: Client, tmp_path: Path) -> None:
    frames = make_pictures(5, seed=9).pictures
    video = client.upload(pack({one.path: one.read() for one in frames}))["id"]
    job = client.submit("detect.stream", {"video": video, "model": NAME, "fps": 5})
    told = [line for event in client.events(job.id) for line in event.data.get("lines", [])]
    result = finish(client, job)
    assert (result["frames"], result["fps"], result["cut"]) == (5, 5, False)
    assert [line["frame"] for line in told] == list(range(5))
    assert [line["seconds"] for line in told] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])
    written = client.download(result["results"], tmp_path / "lines").read_text().splitlines()
    assert [json.loads(line) for line in written] == told
    assert sum(result["objects"].values()) == sum(len(line["boxes"]) for line in told) > 0
    assert client.download(result["annotated"], tmp_path / "mp4").read_bytes()[4:8] == b"ftyp"


def test_jobs_in_flight_while_models_change_all_succeed(
    client: Client, trained: Trained, picture: str
) -> None:
    own = trained.result["model"]
    promote(client, "nanodet-g")
    request = {"picture": picture}
    with ThreadPoolExecutor(8) as pool:
        jobs = list(pool.map(lambda _: client.submit("detect.objects", request), range(IN_FLIGHT)))
    swap = client.submit("detect.promote", {"model": own}, priority="high")
    finish(client, swap)
    later = client.submit("detect.objects", request)
    assert {finish(client, job)["model"] for job in jobs} <= {"nanodet-g", own}
    assert finish(client, later)["model"] == own
    promote(client, "nanodet-g")
