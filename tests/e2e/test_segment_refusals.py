"""What the segment worker cannot do is refused with what to do instead, and it lives on."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from services.client.client import Client
from services.client.problems import Problem
from tests.e2e.bad_masks import BAD, EMPTY_ZIP, WHOLE, make_bomb, zip_classes
from tests.e2e.clients import do, fail, list_pids, name_problem, open_clients, pack, run_worker
from tests.workers.segment.mask_files import make_picture, save
from workers.segment.fcn import FCN
from workers.segment.fcn_config import FcnConfig
from workers.segment.segmenter_file import Segmenter, save_segmenter

DEFAULT = "fcn-8s-camvid"
PROGRAMS = ("segment", "segment-long")
LONG = "x" * 10_000
HUGE = 10**9


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Client, Client]]:
    """After all that is refused, the same processes still do their jobs."""
    home = tmp_path_factory.mktemp("refusals") / "home"
    with run_worker(home, "segment") as stack, open_clients(stack) as opened:
        started = list_pids(stack, *PROGRAMS)
        yield opened
        found = do(opened[0], "segment.pixels", picture=inline(make_picture()))
        assert found["model"] == DEFAULT
        assert fail(opened[0], "segment.train", data=inline(EMPTY_ZIP))[0] == "invalid_input"
        assert list_pids(stack, *PROGRAMS) == started


def inline(content: bytes) -> str:
    return "data:application/octet-stream;base64," + base64.b64encode(content).decode()


def segment(client: Client, picture: Image.Image, folder: Path, **request: Any) -> np.ndarray:
    """The classes (H, W) of a picture, which is sent as a PNG."""
    blob = client.upload(save(picture))["id"]
    found = do(client, "segment.pixels", picture=blob, **request)
    assert (found["width"], found["height"]) == picture.size
    assert sum(area["pixels"] for area in found["areas"]) == picture.width * picture.height
    mask = Image.open(client.download(found["mask"], folder / found["mask"]))
    assert (mask.format, mask.mode, mask.size) == ("PNG", "P", picture.size)
    return np.asarray(mask)


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_learned_from_is_refused_and_says_why(client: Client, name: str) -> None:
    content, says = BAD[name]
    code, detail = fail(client, "segment.train", data=inline(content), encoder="thin")
    assert code == "invalid_input", detail
    assert says in detail


PICTURE, LABELLED, HELLO = inline(make_picture()), inline(WHOLE), inline(b"hello, world")
DAMAGED = inline(make_picture(size=(200, 200), kind="JPEG")[:-100])
CARRS = inline(zip_classes('{"classes": ["sky", "road", "carr"]}'))


@pytest.mark.parametrize(
    ("task", "request_", "code", "says"),
    [
        ("train", {}, "invalid-request", "data"),
        ("train", {"data": "0" * 64}, "unknown-blob", "pload"),
        ("train", {"data": HELLO}, "wrong-media-type", "zip"),
        ("train", {"data": inline(make_bomb())}, "too_large", "masks/a.png"),
        ("train", {"data": LABELLED, "format": "coco"}, "invalid_input", "COCO"),
        ("train", {"data": LABELLED, "name": LONG}, "invalid-request", "60"),
        ("train", {"data": LABELLED, "name": "../x"}, "invalid-request", "name"),
        ("train", {"data": LABELLED, "name": DEFAULT}, "invalid-request", "another"),
        ("train", {"data": LABELLED, "encoder": "resnet"}, "invalid-request", "encoder"),
        ("train", {"data": LABELLED, "fc6_padding": 100}, "invalid_input", "padding"),
        ("train", {"data": LABELLED, "epochs": 0}, "invalid-request", "epochs"),
        ("train", {"data": LABELLED, "frozen": 6}, "invalid-request", "frozen"),
        ("train", {"data": LABELLED, "height": HUGE}, "invalid-request", "height"),
        ("train", {"data": LABELLED, "resolution": 0}, "invalid-request", "resolution"),
        ("train", {"data": LABELLED, "learning_rate": 1e308}, "invalid-request", "rate"),
        ("train", {"data": LABELLED, "parts": 3}, "invalid_input", "parts"),
        ("evaluate", {"data": HELLO}, "wrong-media-type", "zip"),
        ("evaluate", {"data": LABELLED, "part": "test"}, "invalid_input", "test"),
        ("evaluate", {"data": CARRS}, "invalid_input", "Car"),
        ("evaluate", {"data": LABELLED, "model": LONG}, "invalid-request", "70"),
        ("pixels", {"picture": HELLO}, "wrong-media-type", "picture"),
        ("pixels", {"picture": DAMAGED}, "invalid_input", "damaged"),
        ("pixels", {"picture": PICTURE, "model": "nobody"}, "unknown_model", "segment.models"),
        ("pixels", {"picture": PICTURE, "model": LONG}, "invalid-request", "70"),
        ("pixels", {"picture": PICTURE, "resolution": 0}, "invalid-request", "resolution"),
        ("pixels", {"picture": PICTURE, "resolution": HUGE}, "invalid-request", "resolution"),
        ("pixels", {"picture": PICTURE, "opacity": 1.01}, "invalid-request", "opacity"),
        (
            "pixels",
            {"picture": PICTURE, "heat_maps": True, "classes": ["Unicorn"]},
            "invalid_input",
            "Unicorn",
        ),
        ("pixels", {"picture": PICTURE, "classes": [LONG]}, "invalid-request", "classes"),
        ("promote", {"model": "nobody@1"}, "unknown_model", "segment.models"),
        ("promote", {"model": "selfie"}, "invalid-request", DEFAULT),
        ("forget", {"model": "nobody@1"}, "unknown_model", "segment.models"),
        ("forget", {"model": DEFAULT}, "invalid-request", "model"),
        ("import", {"file": HELLO}, "invalid_input", "no segment"),
        ("import", {"file": LABELLED}, "invalid_input", "no segment"),
        ("export", {"model": "nobody"}, "unknown_model", "segment.models"),
        ("export", {"format": "pickle"}, "invalid-request", "onnx"),
        ("export", {"model": "selfie", "format": "atelier"}, "invalid_input", "onnx"),
        ("export", {"height": HUGE}, "invalid-request", "height"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_done_is_refused_and_says_why(
    client: Client, task: str, request_: dict[str, Any], code: str, says: str
) -> None:
    found, detail = fail(client, f"segment.{task}", **request_)
    assert found == code, detail
    assert says in detail


@pytest.mark.parametrize("opacity", ["NaN", "-Infinity", "1.01", "half"])
def test_an_opacity_that_is_none_is_refused(client: Client, opacity: str) -> None:
    with pytest.raises(Problem) as refused:
        client.submit_files("segment.pixels", {"picture": make_picture()}, {"opacity": opacity})
    kind, detail = name_problem(refused.value)
    assert kind == "invalid-request"
    assert "opacity" in detail


def test_a_network_of_no_numbers_is_not_brought_in(client: Client, tmp_path: Path) -> None:
    network = FCN(FcnConfig(2, "thin", 8, fc6_padding=1)).eval()
    with torch.no_grad():
        network.score.weight.fill_(float("nan"))
    path = tmp_path / "segmenter"
    save_segmenter(Segmenter(network, ("a", "b"), ((0, 0, 0), (9, 9, 9)), 64), path)
    code, detail = fail(client, "segment.import", file=client.upload(path)["id"])
    assert code == "invalid_input"
    assert "finite" in detail


@pytest.mark.parametrize(
    ("task", "field"),
    [("pixels", "picture"), ("train", "data"), ("evaluate", "data"), ("import", "file")],
)
def test_a_file_of_another_tenant_is_not_there(
    clients: tuple[Client, Client], task: str, field: str
) -> None:
    own, foreign = clients
    content = make_picture(77) if field == "picture" else pack({"own.txt": task})
    blob = foreign.upload(content)["id"]
    assert fail(own, f"segment.{task}", **{field: blob})[0] == "unknown-blob"


def test_grey_and_see_through_pictures_are_seen_as_their_colours(
    client: Client, tmp_path: Path
) -> None:
    ramp = np.tile(np.linspace(0, 255, 60).astype(np.uint8), (40, 1))
    plain = segment(client, Image.fromarray(ramp).convert("RGB"), tmp_path)
    assert (segment(client, Image.fromarray(ramp), tmp_path) == plain).all()
    assert (segment(client, Image.fromarray(ramp).convert("RGBA"), tmp_path) == plain).all()
    assert (segment(client, Image.fromarray(ramp).convert("P"), tmp_path) == plain).all()
    nothing = segment(client, Image.new("RGBA", (60, 40), (255, 0, 0, 0)), tmp_path)
    assert (nothing == segment(client, Image.new("RGB", (60, 40), "white"), tmp_path)).all()


@pytest.mark.parametrize(
    ("width", "height"), [(1, 1), (1, 40_000), (40_000, 1), (3, 2000)], ids=str
)
def test_a_picture_of_any_shape_is_seen(
    client: Client, tmp_path: Path, width: int, height: int
) -> None:
    segment(client, Image.new("RGB", (width, height), "grey"), tmp_path)


def test_40_megapixels_are_seen_and_41_are_refused(client: Client, tmp_path: Path) -> None:
    segment(client, Image.new("RGB", (8000, 5000), "grey"), tmp_path)
    large = client.upload(save(Image.new("RGB", (8200, 5000), "grey")))["id"]
    code, detail = fail(client, "segment.pixels", picture=large)
    assert code == "invalid_input"
    assert "smaller" in detail
