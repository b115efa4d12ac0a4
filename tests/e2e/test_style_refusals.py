"""What the style worker cannot do is refused with what to do instead, and it lives on."""

import base64
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from services.client.client import Client
from services.client.problems import Problem
from shared.settings import read_settings
from tests.e2e.bad_contents import BAD, EMPTY_ZIP, PHOTOGRAPH, PICTURE, WHOLE
from tests.e2e.bad_masks import declare
from tests.e2e.clients import do, fail, list_pids, name_problem, open_clients, pack, run_worker
from tests.workers.style.desk import draw_noise, draw_scene, draw_stripes, save
from workers.style.one_pass import OnePass, OnePassConfig
from workers.style.painter_file import Painter, save_painter

DEFAULT = "stained-glass"
PROGRAMS = ("style", "style-long")
LONG = "x" * 10_000
HUGE = 10**9


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Client, Client]]:
    """After all that is refused, the same processes still do their jobs."""
    home = tmp_path_factory.mktemp("refusals") / "home"
    weights = link_weights(tmp_path_factory.mktemp("weights"))
    with run_worker(home, "style", weights) as stack, open_clients(stack) as opened:
        started = list_pids(stack, *PROGRAMS)
        yield opened
        assert do(opened[0], "style.apply", picture=inline(PICTURE))["model"] == DEFAULT
        assert do(opened[0], "style.transfer", **ASKED)["finished"]
        assert list_pids(stack, *PROGRAMS) == started


def link_weights(folder: Path) -> Path:
    """The pretrained files without vgg19, which is pulled by name."""
    for path in read_settings().weights.iterdir():
        if path.is_file() and not path.name.startswith("vgg19"):
            (folder / path.name).symlink_to(path)
    return folder


def inline(content: bytes) -> str:
    return "data:application/octet-stream;base64," + base64.b64encode(content).decode()


CONTENT, LEARNED, HELLO = inline(PICTURE), inline(WHOLE), inline(b"hello, world")
DAMAGED, LIE = inline(PHOTOGRAPH[:-1500]), inline(declare(HUGE, HUGE))
STYLE = inline(save(draw_stripes()))
BLACK = inline(save(Image.new("L", (5, 900))))
ASKED: dict[str, Any] = {
    "content": CONTENT,
    "styles": [STYLE],
    "size": 48,
    "steps": 3,
    "scales": 1,
    "format": "png",
}
NOTHING = {"content_weight": 0, "style_weight": 0, "tv_weight": 0}
LESSON: dict[str, Any] = {
    "style": STYLE,
    "data": LEARNED,
    "window": 32,
    "style_size": 32,
    "steps": 2,
    "width": 4,
    "blocks": 1,
}


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        ({"content": None}, "invalid-request", "content"),
        ({"content": "0" * 64}, "unknown-blob", "pload"),
        ({"content": HELLO}, "wrong-media-type", "content"),
        ({"content": DAMAGED}, "invalid_input", "damaged"),
        ({"content": LIE}, "invalid_input", "smaller"),
        ({"styles": []}, "invalid-request", "styles"),
        ({"styles": [STYLE] * 9}, "invalid-request", "8"),
        ({"styles": [STYLE, HELLO]}, "wrong-media-type", "styles"),
        ({"styles": [STYLE, DAMAGED]}, "invalid_input", "damaged"),
        ({"styles": [LIE]}, "invalid_input", "smaller"),
        ({"styles": STYLE}, "invalid-request", "styles"),
        ({"style_weights": [1, 1]}, "invalid_input", "style_weights"),
        ({"style_weights": []}, "invalid_input", "style_weights"),
        ({"style_weights": [0]}, "invalid_input", "style_weights"),
        ({"style_weights": [-1]}, "invalid-request", "style_weights"),
        ({"style_weights": [1e13]}, "invalid-request", "style_weights"),
        (NOTHING, "invalid_input", "weight"),
        ({**NOTHING, "style_weight": 1, "strength": 0}, "invalid_input", "strength"),
        ({"content_layers": ["relu9_1"]}, "invalid-request", "content_layers"),
        ({"style_layers": []}, "invalid-request", "style_layers"),
        ({"style_layers": [LONG]}, "invalid-request", "style_layers"),
        ({"style_layers": ["relu1_1", "relu3_4"]}, "invalid_input", "relu3_4"),
        ({"network": "vgg19"}, "missing_weights", "atelier weights pull vgg19.pth"),
        ({"network": "vgg11"}, "invalid-request", "vgg16"),
        ({"mask": HELLO}, "wrong-media-type", "mask"),
        ({"mask": DAMAGED}, "invalid_input", "damaged"),
        ({"mask": BLACK}, "invalid_input", "black"),
        ({"steps": 0}, "invalid-request", "steps"),
        ({"steps": 10_001}, "invalid-request", "steps"),
        ({"scales": 5}, "invalid-request", "scales"),
        ({"size": HUGE}, "invalid-request", "2048"),
        ({"size": 31}, "invalid-request", "32"),
        ({"learning_rate": 0}, "invalid-request", "learning_rate"),
        ({"learning_rate": 1e308}, "invalid-request", "learning_rate"),
        ({"style_scale": 0}, "invalid-request", "style_scale"),
        ({"preview_every": 0}, "invalid-request", "preview_every"),
        ({"preset": LONG}, "invalid-request", "quick"),
        ({"optimiser": "sgd"}, "invalid-request", "lbfgs"),
        ({"seed": -1}, "invalid-request", "seed"),
        ({"unknown": 1}, "invalid-request", "unknown"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_a_transfer_that_cannot_be_is_refused_and_says_why(
    client: Client, change: dict[str, Any], code: str, says: str
) -> None:
    asked = {name: value for name, value in {**ASKED, **change}.items() if value is not None}
    found, detail = fail(client, "style.transfer", **asked)
    assert found == code, detail
    assert says in detail


@pytest.mark.parametrize("field", ["style_weight", "strength", "style_scale", "learning_rate"])
@pytest.mark.parametrize("number", ["NaN", "Infinity", "-1", "much"])
def test_a_number_that_is_none_is_refused(client: Client, field: str, number: str) -> None:
    files: dict[str, Any] = {"content": PICTURE, "styles": [PICTURE]}
    with pytest.raises(Problem) as refused:
        client.submit_files("style.transfer", files, {field: number})
    kind, detail = name_problem(refused.value)
    assert kind == "invalid-request"
    assert field in detail


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_learned_from_is_refused_and_says_why(client: Client, name: str) -> None:
    content, says = BAD[name]
    code, detail = fail(client, "style.train", **{**LESSON, "data": inline(content)})
    assert code == "invalid_input", detail
    assert says in detail


@pytest.mark.parametrize(
    ("task", "request_", "code", "says"),
    [
        ("train", {"data": "0" * 64}, "unknown-blob", "pload"),
        ("train", {"data": HELLO}, "wrong-media-type", "zip"),
        ("train", {"style": HELLO}, "wrong-media-type", "style"),
        ("train", {"style": DAMAGED}, "invalid_input", "damaged"),
        ("train", {"name": LONG}, "invalid-request", "60"),
        ("train", {"name": "../x"}, "invalid-request", "name"),
        ("train", {"name": DEFAULT}, "invalid-request", "another"),
        ("train", {"window": HUGE}, "invalid-request", "window"),
        ("train", {"style_size": 0}, "invalid-request", "style_size"),
        ("train", {"steps": 0}, "invalid-request", "steps"),
        ("train", {"width": 65}, "invalid-request", "width"),
        ("train", {"blocks": HUGE}, "invalid-request", "blocks"),
        ("train", {"learning_rate": 1e308}, "invalid-request", "learning_rate"),
        ("train", {"content_layer": "pool6"}, "invalid-request", "content_layer"),
        ("train", {"content_layer": "relu4_4"}, "invalid_input", "relu4_4"),
        ("train", {"style_layers": ["conv3_4"]}, "invalid_input", "conv3_4"),
        ("train", NOTHING, "invalid_input", "weight"),
        ("train", {"window": 1024, "batch_size": 64, "width": 64}, "too_large", "batch_size"),
        ("apply", {}, "invalid-request", "picture"),
        ("apply", {"picture": HELLO}, "wrong-media-type", "picture"),
        ("apply", {"picture": DAMAGED}, "invalid_input", "damaged"),
        ("apply", {"picture": LIE}, "invalid_input", "smaller"),
        ("apply", {"picture": CONTENT, "model": "nobody"}, "unknown_model", "style.models"),
        ("apply", {"picture": CONTENT, "model": LONG}, "invalid-request", "70"),
        ("apply", {"picture": CONTENT, "size": HUGE}, "invalid-request", "size"),
        ("apply", {"picture": CONTENT, "strength": 1.01}, "invalid-request", "strength"),
        ("apply", {"picture": CONTENT, "colours": "red"}, "invalid-request", "colours"),
        ("promote", {"model": "nobody@1"}, "unknown_model", "style.models"),
        ("promote", {"model": "nobody"}, "invalid-request", DEFAULT),
        ("forget", {"model": "nobody@1"}, "unknown_model", "style.models"),
        ("forget", {"model": DEFAULT}, "invalid-request", "model"),
        ("import", {"file": HELLO}, "invalid_input", "no "),
        ("import", {"file": LEARNED}, "invalid_input", "no "),
        ("import", {"file": inline(EMPTY_ZIP), "name": DEFAULT}, "invalid-request", "another"),
        ("export", {"model": "nobody"}, "unknown_model", "style.models"),
        ("export", {"format": "pickle"}, "invalid-request", "onnx"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_what_cannot_be_done_is_refused_and_says_why(
    client: Client, task: str, request_: dict[str, Any], code: str, says: str
) -> None:
    asked = {**LESSON, **request_} if task == "train" else request_
    found, detail = fail(client, f"style.{task}", **asked)
    assert found == code, detail
    assert says in detail


def test_a_network_of_no_numbers_is_not_brought_in(client: Client, tmp_path: Path) -> None:
    network = OnePass(OnePassConfig(4, 1)).eval()
    with torch.no_grad():
        next(network.parameters()).fill_(float("nan"))
    save_painter(Painter(network), tmp_path / "painter")
    code, detail = fail(client, "style.import", file=client.upload(tmp_path / "painter")["id"])
    assert code == "invalid_input"
    assert "finite" in detail


@pytest.mark.parametrize(
    ("task", "field"),
    [
        ("transfer", "content"),
        ("transfer", "styles"),
        ("transfer", "mask"),
        ("train", "style"),
        ("train", "data"),
        ("apply", "picture"),
        ("import", "file"),
    ],
)
def test_a_file_of_another_tenant_is_not_there(
    clients: tuple[Client, Client], task: str, field: str
) -> None:
    own, foreign = clients
    theirs = pack({"own.txt": task}) if field in ("data", "file") else save(draw_noise(seed=7))
    blob = foreign.upload(theirs)["id"]
    asked = {"transfer": ASKED, "train": LESSON}.get(task, {})
    value = [STYLE, blob] if field == "styles" else blob
    assert fail(own, f"style.{task}", **{**asked, field: value})[0] == "unknown-blob"


def paint(client: Client, folder: Path, **request: Any) -> np.ndarray:
    """The painting (H, W, 3) of a content and a style, which are sent as PNG."""
    sent = {name: client.upload(save(one))["id"] for name, one in request.items()}
    styles = [sent.pop("style")] if "style" in sent else [STYLE]
    found = do(client, "style.transfer", **{**ASKED, **sent, "styles": styles})
    assert all(np.isfinite(value) for value in found["losses"].values())
    painted = Image.open(BytesIO(client.download(found["picture"], folder / "png").read_bytes()))
    assert painted.size == (found["width"], found["height"])
    return np.asarray(painted)


@pytest.mark.parametrize(
    ("width", "height"), [(1, 1), (1, 4000), (4000, 1), (3, 700), (33, 2)], ids=str
)
def test_a_content_or_a_style_of_any_shape_is_painted(
    client: Client, tmp_path: Path, width: int, height: int
) -> None:
    odd = draw_noise(width, height)
    painted = paint(client, tmp_path, content=odd)
    assert max(painted.shape[:2]) <= 48
    assert paint(client, tmp_path, style=odd).shape == (36, 48, 3)


def test_see_through_and_grey_pictures_are_painted_as_what_is_seen(
    client: Client, tmp_path: Path
) -> None:
    grey = draw_scene().convert("L")
    as_colours = paint(client, tmp_path, content=grey.convert("RGB"))
    assert (paint(client, tmp_path, content=grey) == as_colours).all()
    assert (paint(client, tmp_path, content=grey.convert("RGBA")) == as_colours).all()
    clear = Image.new("RGBA", (64, 48), (255, 0, 0, 0))
    white = paint(client, tmp_path, content=Image.new("RGB", (64, 48), "white"))
    assert (paint(client, tmp_path, content=clear) == white).all()


def test_40_megapixels_are_painted_and_41_are_refused(client: Client, tmp_path: Path) -> None:
    large = Image.new("RGB", (8000, 5000), "grey")
    assert paint(client, tmp_path, content=large, style=large).shape == (30, 48, 3)
    larger = client.upload(save(Image.new("RGB", (8200, 5000), "grey")))["id"]
    for change in ({"content": larger}, {"styles": [larger]}, {"mask": larger}):
        code, detail = fail(client, "style.transfer", **{**ASKED, **change})
        assert (code, "smaller" in detail) == ("invalid_input", True), detail
