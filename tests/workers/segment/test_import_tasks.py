"""Segmentation networks brought in: they say what they said, and broken files are refused."""

import json
import struct
import zipfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.workers.segment.coloured import make_pictures
from tests.workers.segment.desk import Desk, make_segmenter
from workers.runtime.tensors import read_tensors, write_tensors
from workers.segment import import_tasks
from workers.segment.import_tasks import bring_in
from workers.segment.looking import find_mask
from workers.segment.model_contract import IMPORT, ImportRequest, ModelsRequest
from workers.segment.model_tasks import models
from workers.segment.segmenter_file import Segmenter, save_segmenter

PUBLISHED = 3  # models that are there before any is brought in


def pack(segmenter: Segmenter, folder: Path, half: bool = False, **about: Any) -> bytes:
    """The file of a segmenter, parts of its description changed."""
    path = folder / "segmenter.safetensors"
    save_segmenter(segmenter, path, half)
    if about:
        tensors, told = read_tensors(path)
        write_tensors(path, tensors, told | about)
    return path.read_bytes()


def refuse(desk: Desk, content: bytes) -> str:
    code, why = desk.refuse(bring_in, ImportRequest(file=desk.add(content)))
    assert code == "invalid_input"
    assert len(desk.do(models, ModelsRequest()).models) == PUBLISHED  # nothing was registered
    assert "/tmp" not in why  # no path of this machine
    return why


def test_a_network_says_what_it_said_before(desk: Desk, tmp_path: Path):
    segmenter = replace(make_segmenter("背景", "red $5$", "blue"), metrics={"mean_iou": 0.75})
    trained = desk.register(segmenter, "trained")
    file = desk.add(pack(segmenter, tmp_path))
    result = desk.do(bring_in, ImportRequest(file=file, name="copy"))
    assert (result.model, result.classes) == ("copy@1", ["背景", "red $5$", "blue"])
    assert (result.encoder, result.stride, result.resolution) == ("thin", 8, 64)
    assert result.parameters == sum(one.numel() for one in segmenter.network.parameters())
    picture = make_pictures(1).pictures[0].open()
    before, after = (
        find_mask(desk.worker.segmenters.open(desk.tenant, name), picture)
        for name in (trained, "copy")
    )
    assert np.array_equal(before, after)
    assert len(np.unique(after)) > 1
    view = desk.do(models, ModelsRequest()).models[PUBLISHED]
    assert (view.model, view.metrics, view.encoder) == ("copy@1", {"mean_iou": 0.75}, "thin")
    assert desk.progress == [0.3, 0.6]


def test_a_file_of_16_bits_is_served_in_32(sqlite_desk: Desk, tmp_path: Path):
    file = sqlite_desk.add(pack(make_segmenter(), tmp_path, half=True))
    sqlite_desk.do(bring_in, ImportRequest(file=file))
    served = sqlite_desk.worker.segmenters.open(sqlite_desk.tenant, "segmenter")
    assert all(one.dtype == torch.float32 for one in served.network.parameters())
    labelled = make_pictures(1)
    truth = labelled.pictures[0].open_mask(labelled.classes)
    assert (find_mask(served, labelled.pictures[0].open()) == truth).mean() > 0.8


def make_zip() -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("segmenter.safetensors", "no")
    return file.getvalue()


def frame(header: bytes) -> bytes:
    """A safetensors file without tensors."""
    return struct.pack("<Q", len(header)) + header


def describe(about: str) -> bytes:
    return frame(json.dumps({"__metadata__": {"about": about}}).encode())


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\x00", id="a byte"),
        pytest.param(b"this is a text, not a network\n" * 100, id="text"),
        pytest.param(make_zip(), id="zip"),
        pytest.param(np.float32([1, 2, 3] * 99).tobytes(), id="numbers"),
        pytest.param(struct.pack("<Q", 2**62) + b"{}", id="a huge header"),
        pytest.param(frame(b"{}"), id="no description"),
        pytest.param(frame(b'{"a":1}'), id="no safetensors"),
        pytest.param(describe("no JSON"), id="no JSON"),
        pytest.param(describe("[" * 200_000), id="deep"),
        pytest.param(describe('{"format":' * 900 + "1" + "}" * 900), id="as deep as can be"),
        pytest.param(describe("[1, 2]"), id="a list"),
        pytest.param(describe("NaN"), id="not a number"),
        pytest.param(describe('"\\ud800"'), id="half a character"),
        pytest.param(describe('{"format": "atelier-yolo-1"}'), id="a detector"),
    ],
)
def test_what_is_no_file_of_a_segmenter_is_refused(content, sqlite_desk: Desk):
    assert "This is no segmentation network of Atelier" in refuse(sqlite_desk, content)


@pytest.mark.parametrize("share", [0.0001, 0.01, 0.5, 0.999])
def test_a_truncated_file_is_refused(share, sqlite_desk: Desk, tmp_path: Path):
    content = pack(make_segmenter(), tmp_path)
    refuse(sqlite_desk, content[: int(share * len(content))])


LARGE = {"classes": 3, "encoder": "vgg16", "stride": 8, "fc6_padding": 3}


@pytest.mark.parametrize(
    ("about", "why"),
    [
        ({"names": ["a"]}, "3 classes need as many different names"),
        ({"names": ["a", "b", "c\x1b[2J"]}, "characters that cannot be shown"),
        ({"names": ["a", "b", "\ud800"]}, "Invalid JSON"),
        ({"network": LARGE}, "not those of the network"),
        ({"network": LARGE | {"classes": 10**15}}, "classes need as many"),
        ({"m" * 10**6: 1}, "mmm"),
    ],
    ids=["names", "not printable", "half a character", "another network", "huge", "endless"],
)
def test_a_description_that_lies_is_refused(about, why, sqlite_desk: Desk, tmp_path: Path):
    told = refuse(sqlite_desk, pack(make_segmenter(), tmp_path, **about))
    assert why in told
    assert len(told) < 700


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("odd", [float("nan"), float("-inf")])
def test_weights_that_are_no_numbers_are_refused(odd, half, sqlite_desk: Desk, tmp_path: Path):
    segmenter = make_segmenter()
    segmenter.network.get_parameter("score.bias").data[0] = odd
    assert "score.bias" in refuse(sqlite_desk, pack(segmenter, tmp_path, half))


def test_finite_weights_whose_scores_are_not_are_refused(sqlite_desk: Desk, tmp_path: Path):
    segmenter = make_segmenter()
    segmenter.network.get_parameter("skips.pool3.weight").data.fill_(3e38)
    assert "grey picture" in refuse(sqlite_desk, pack(segmenter, tmp_path))


def test_a_file_longer_than_allowed_is_refused(sqlite_desk: Desk, monkeypatch):
    monkeypatch.setattr(import_tasks, "MOST_BYTES", 10)
    code, why = sqlite_desk.refuse(bring_in, ImportRequest(file=sqlite_desk.add(b"x" * 11)))
    assert (code, "at most 10 bytes" in why) == ("too_large", True)


def test_a_file_that_is_gone_or_anothers_is_refused(desk: Desk, tmp_path: Path):
    file = Desk(desk.worker).add(pack(make_segmenter(), tmp_path))
    code, why = desk.refuse(bring_in, ImportRequest(file=file))
    assert (code, "Upload it again" in why) == ("invalid_input", True)


def test_the_example_is_a_request(sqlite_desk: Desk):
    content = b"\0\1\2\3"  # as the example has it
    assert IMPORT.example["file"].endswith("AAECAw==")
    assert "no segmentation network" in refuse(sqlite_desk, content)
