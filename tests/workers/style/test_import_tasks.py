"""One-pass networks brought in: they paint as they did, and broken files are refused."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.workers.style.desk import Desk, draw_scene
from tests.workers.style.painters import make_painter, register
from workers.runtime.tensors import read_tensors, write_tensors
from workers.style import import_tasks
from workers.style.apply_tasks import apply
from workers.style.import_tasks import bring_in
from workers.style.model_contract import IMPORT, ImportRequest, ModelsRequest
from workers.style.model_tasks import models
from workers.style.painter_file import Painter, save_painter
from workers.style.training_contract import ApplyRequest


def pack(painter: Painter, folder: Path, half: bool = False, **about: Any) -> bytes:
    """The file of a painter, parts of its description changed."""
    path = folder / "painter.safetensors"
    save_painter(painter, path, half)
    if about:
        tensors, told = read_tensors(path)
        write_tensors(path, tensors, told | about)
    return path.read_bytes()


def refuse(desk: Desk, content: bytes) -> str:
    code, why = desk.refuse(bring_in, ImportRequest(file=desk.add(content)))
    assert code == "invalid_input"
    assert len(desk.do(models, ModelsRequest()).models) == 1  # nothing was registered
    assert "/tmp" not in why  # no path of this machine
    assert len(why) < 700
    return why


def test_a_network_paints_as_it_did_before(desk: Desk, tmp_path: Path):
    painter = make_painter(seed=3, width=6, blocks=2)
    trained = register(desk, painter, "trained")
    file = desk.add(pack(painter, tmp_path))
    result = desk.do(bring_in, ImportRequest(file=file, name="copy"))
    assert (result.model, result.width, result.blocks) == ("copy@1", 6, 2)
    assert result.parameters == sum(one.numel() for one in painter.network.parameters())
    picture = desk.add_picture(draw_scene(32, 24))
    before, after = desk.do_all(
        apply, *[ApplyRequest(picture=picture, model=name) for name in (trained, "copy")]
    )
    assert desk.read(before.picture) == desk.read(after.picture)
    view = desk.do(models, ModelsRequest()).models[1]
    assert (view.model, view.metrics, view.width) == ("copy@1", {"style": 0.5}, 6)
    assert desk.progress[:2] == [0.3, 0.6]


def test_a_file_of_16_bits_is_served_in_32(sqlite_desk: Desk, tmp_path: Path):
    file = sqlite_desk.add(pack(make_painter(), tmp_path, half=True))
    sqlite_desk.do(bring_in, ImportRequest(file=file))
    opened = sqlite_desk.worker.painters.open(sqlite_desk.tenant, "style")
    assert all(one.dtype == torch.float32 for one in opened.network.parameters())


def describe(about: str) -> bytes:
    """A safetensors file without tensors."""
    header = json.dumps({"__metadata__": {"about": about}}).encode()
    return struct.pack("<Q", len(header)) + header


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"this is a text, not a network\n" * 100, id="text"),
        pytest.param(struct.pack("<Q", 2**62) + b"{}", id="a huge header"),
        pytest.param(describe("no JSON"), id="no JSON"),
        pytest.param(describe("[" * 200_000), id="deep"),
        pytest.param(describe('"\\ud800"'), id="half a character"),
        pytest.param(describe('{"format": "atelier-fcn-1"}'), id="a segmentation network"),
    ],
)
def test_what_is_no_file_of_a_painter_is_refused(content, sqlite_desk: Desk):
    assert "This is no one-pass network of Atelier" in refuse(sqlite_desk, content)


@pytest.mark.parametrize("share", [0.0001, 0.01, 0.5, 0.999])
def test_a_truncated_file_is_refused(share, sqlite_desk: Desk, tmp_path: Path):
    content = pack(make_painter(), tmp_path)
    refuse(sqlite_desk, content[: int(share * len(content))])


@pytest.mark.parametrize(
    ("about", "why"),
    [
        ({"network": {"width": 8, "blocks": 1}}, "not those of the network"),
        ({"m" * 10**6: 1}, "mmm"),
    ],
    ids=["wider", "endless field"],
)
def test_a_description_that_lies_is_refused(about, why, sqlite_desk: Desk, tmp_path: Path):
    assert why in refuse(sqlite_desk, pack(make_painter(), tmp_path, **about))


@pytest.mark.parametrize("half", [False, True], ids=["32 bits", "16 bits"])
@pytest.mark.parametrize("odd", [float("nan"), float("-inf")])
def test_weights_that_are_no_numbers_are_refused(odd, half, sqlite_desk: Desk, tmp_path: Path):
    painter = make_painter()
    painter.network.get_parameter("head.bias").data[0] = odd
    assert "head.bias" in refuse(sqlite_desk, pack(painter, tmp_path, half))


def test_finite_weights_whose_pixels_are_not_are_refused(sqlite_desk: Desk, tmp_path: Path):
    painter = make_painter()
    painter.network.get_parameter("encoder.0.weight").data.fill_(3e38)
    assert "grey picture" in refuse(sqlite_desk, pack(painter, tmp_path))


def test_a_file_longer_than_allowed_is_refused(sqlite_desk: Desk, monkeypatch):
    monkeypatch.setattr(import_tasks, "MOST_BYTES", 10)
    code, why = sqlite_desk.refuse(bring_in, ImportRequest(file=sqlite_desk.add(b"x" * 11)))
    assert (code, "at most 10 bytes" in why) == ("too_large", True)


def test_the_widest_and_deepest_network_may_be_brought_in():
    with torch.device("meta"):
        network = make_painter(width=64, blocks=16).network
    assert (
        sum(one.nbytes for one in network.state_dict().values()) < import_tasks.MOST_BYTES - 2**20
    )


def test_a_file_that_is_gone_or_anothers_is_refused(desk: Desk, tmp_path: Path):
    file = Desk(desk.worker).add(pack(make_painter(), tmp_path))
    code, why = desk.refuse(bring_in, ImportRequest(file=file))
    assert (code, "Upload it again" in why) == ("invalid_input", True)


def test_the_example_is_a_request(sqlite_desk: Desk):
    assert ImportRequest.model_validate(IMPORT.example).file.endswith("AAECAw==")
    assert "no one-pass network" in refuse(sqlite_desk, b"\0\1\2\3")
