"""Detectors brought in: they find what they found elsewhere, and broken files are refused."""

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

from shared.weights import locate
from tests.workers.detect.coloured import make_pictures
from tests.workers.detect.desk import Desk, make_detector
from workers.detect import import_tasks
from workers.detect.darknet import tensors_in_file_order
from workers.detect.detector_file import Detector, save_detector
from workers.detect.import_tasks import bring_in
from workers.detect.model import ANCHORS, YoloV3Tiny
from workers.detect.model_contract import ImportRequest, ModelsRequest
from workers.detect.model_tasks import models
from workers.detect.objects_contract import ObjectsRequest
from workers.detect.objects_tasks import objects
from workers.runtime.tensors import read_tensors, write_tensors

PICTURE = make_pictures(1).pictures[0].read()
LARGE = {"preset": "small", "classes": 2, "side": 64, "grid": 4, "boxes": 2}


def pack(detector: Detector, folder: Path, **about: Any) -> bytes:
    """The file of a detector, parts of its description changed."""
    path = folder / "detector.safetensors"
    save_detector(detector, path)
    if about:
        tensors, told = read_tensors(path)
        write_tensors(path, tensors, told | about)
    return path.read_bytes()


def pack_darknet(network: YoloV3Tiny) -> bytes:
    numbers = [tensor.detach().flatten() for tensor in tensors_in_file_order(network)]
    return struct.pack("<iiiq", 0, 2, 5, 0) + torch.cat(numbers).numpy().tobytes()


def refuse(desk: Desk, content: bytes, **fields: Any) -> str:
    code, why = desk.refuse(bring_in, ImportRequest(file=desk.add(content), **fields))
    assert code == "invalid_input"
    assert len(desk.do(models, ModelsRequest()).models) == 2  # nothing was registered
    assert "/tmp" not in why  # no path of this machine
    return why


def test_a_file_of_atelier_finds_what_it_found_before(desk: Desk, tmp_path: Path):
    detector = replace(make_detector("红", "blue $5$"), metrics={"map50": 0.75})
    trained = desk.register(detector, "trained")
    file = desk.add(pack(detector, tmp_path))
    result = desk.do(bring_in, ImportRequest(file=file, name="copy"))
    assert (result.model, result.classes, result.side) == ("copy@1", ["红", "blue $5$"], 64)
    assert result.parameters == sum(one.numel() for one in detector.network.parameters())
    picture = desk.add(PICTURE)
    before, after = desk.do_all(
        objects, *[ObjectsRequest(picture=picture, model=name) for name in (trained, "copy")]
    )
    assert after.boxes == before.boxes != []
    view = desk.do(models, ModelsRequest()).models[2]
    assert (view.model, view.metrics, view.score_threshold) == ("copy@1", {"map50": 0.75}, 0.0)
    assert (view.origin["came_as"], view.origin["kind"]) == ("atelier", "detector")
    assert desk.progress == [0.3, 0.6]


def test_a_threshold_given_is_that_of_the_detector(sqlite_desk: Desk, tmp_path: Path):
    file = sqlite_desk.add(pack(make_detector("a"), tmp_path))
    sqlite_desk.do(bring_in, ImportRequest(file=file, score_threshold=1))
    assert sqlite_desk.do(models, ModelsRequest()).models[2].score_threshold == 1
    request = ObjectsRequest(picture=sqlite_desk.add(PICTURE), model="detector")
    assert sqlite_desk.do(objects, request).boxes == []
    assert sqlite_desk.do(objects, request.model_copy(update={"score_threshold": 0.0})).boxes


def test_the_published_weights_of_darknet_find_what_they_find(sqlite_desk: Desk, weights, photo):
    file = sqlite_desk.add(locate("yolov3-tiny.weights", weights).read_bytes())
    classes = locate("coco.names", weights).read_text().splitlines()
    request = ImportRequest(file=file, kind="darknet", classes=classes, name="tiny")
    result = sqlite_desk.do(bring_in, request)
    assert (result.side, result.classes) == (416, classes)
    picture = sqlite_desk.add(photo("obama.jpg"))
    published, own = sqlite_desk.do_all(
        objects,
        *[ObjectsRequest(picture=picture, model=name) for name in ("yolov3-tiny", "tiny")],
    )
    assert own.boxes == published.boxes != []
    assert own.model == "tiny@1"


def test_darknet_weights_of_other_classes_and_anchors_are_served(desk: Desk):
    anchors = [[10, 14], [23, 27], [37, 58], [81, 82], [135, 169], [344, 319]]
    torch.manual_seed(0)
    network = YoloV3Tiny(classes=2).eval()
    file = desk.add(pack_darknet(network))
    fields = {"file": file, "kind": "darknet", "classes": ["cat", "dog"], "score_threshold": 0}
    desk.do(bring_in, ImportRequest(**fields, name="usual"))
    desk.do(bring_in, ImportRequest(**fields, name="own", anchors=anchors))
    usual, own = (
        desk.worker.detectors.open(desk.tenant, name).network for name in ("usual", "own")
    )
    assert isinstance(usual, YoloV3Tiny)
    assert isinstance(own, YoloV3Tiny)
    assert usual.anchors == ANCHORS
    assert own.anchors == tuple(map(tuple, anchors))
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in own.modules())
    x = torch.rand(1, 3, 416, 416)
    with torch.inference_mode():
        boxes, scores = own.predict(x)
        others, same = usual.predict(x)
        assert torch.allclose(network.predict(x)[1], scores, atol=1e-5)
    assert torch.equal(scores, same)
    changed = (boxes[0, :, 2] - boxes[0, :, 0]) / (others[0, :, 2] - others[0, :, 0])
    ratios = torch.tensor([a[0] / b[0] for a, b in zip(anchors, ANCHORS, strict=True)])
    cells = [169] * 3 + [676] * 3  # the coarse grid comes first
    expected = torch.cat([ratios[3:], ratios[:3]]).repeat_interleave(torch.tensor(cells))
    assert torch.allclose(changed, expected, rtol=1e-3)


def test_a_darknet_file_of_another_number_of_classes_says_of_how_many(sqlite_desk: Desk):
    content = pack_darknet(YoloV3Tiny(classes=3))
    why = refuse(sqlite_desk, content, kind="darknet", classes=["a", "b"])
    assert "it has 3 classes, not 2" in why
    why = refuse(sqlite_desk, content, kind="darknet", classes=["a", "b", "c", "d"])
    assert "it has 3 classes, not 4" in why
    why = refuse(sqlite_desk, content[:-8], kind="darknet", classes=["a", "b", "c"])
    assert "numbers; YOLOv3-tiny of these classes has" in why
    assert "name their classes" in refuse(sqlite_desk, content, kind="darknet")
    assert "twice" in refuse(sqlite_desk, content, kind="darknet", classes=["a", "b", "b"])


@pytest.mark.parametrize("content", [b"", b"text", b"\xff" * 40, struct.pack("<iiiq", 0, 2, 0, 0)])
def test_what_is_no_darknet_file_is_refused(content, sqlite_desk: Desk):
    assert "kind darknet" in refuse(sqlite_desk, content, kind="darknet", classes=["a"])


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), -1.0])
def test_darknet_weights_that_are_no_numbers_are_refused(odd, sqlite_desk: Desk):
    network = YoloV3Tiny(classes=1)
    assert isinstance(network.wide.norm, torch.nn.BatchNorm2d)
    network.wide.norm.running_var = torch.full((1024,), odd)  # -1: of which there is no root
    why = refuse(sqlite_desk, pack_darknet(network), kind="darknet", classes=["a"])
    assert "not finite" in why


def make_zip() -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("detector.safetensors", "no")
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
        pytest.param(PICTURE, id="picture"),
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
        pytest.param(describe('{"format": "atelier-yolo-9"}'), id="of the future"),
    ],
)
def test_what_is_no_file_of_atelier_is_refused(content, sqlite_desk: Desk):
    assert "no detector of the kind atelier" in refuse(sqlite_desk, content)


@pytest.mark.parametrize("share", [0.0001, 0.01, 0.5, 0.999])
def test_a_truncated_file_is_refused(share, sqlite_desk: Desk, tmp_path: Path):
    content = pack(make_detector("a"), tmp_path)
    refuse(sqlite_desk, content[: int(share * len(content))])


@pytest.mark.parametrize(
    ("about", "why"),
    [
        ({"names": ["a"]}, "2 classes need as many different names"),
        ({"names": ["a", "a"]}, "2 classes need as many different names"),
        ({"names": ["a", ""]}, "names.1: String should have at least 1 character"),
        ({"names": ["a", "b" * 201]}, "names.1: String should have at most 200 characters"),
        ({"names": ["a", "b\x1b[2J"]}, "characters that cannot be shown"),
        ({"names": ["a", "b\n"]}, "characters that cannot be shown"),
        ({"metrics": {f"m{n}": 1.0 for n in range(1101)}}, "metrics: Dictionary should have"),
        ({"metrics": {"m" * 10**6: 1.0}}, "metrics.mmm"),
        ({"m" * 10**6: 1.0}, "mmm"),
        ({"format": "m" * 10**6}, "Input tag 'mmm"),
        ({"network": LARGE | {"side": 912, "grid": 57}}, "at most 896 pixels a side"),
        ({"network": LARGE | {"boxes": 11}}, "10 boxes a cell"),
        ({"names": ["a", "\ud800"]}, "Invalid JSON"),
        ({"metrics": {"map50": float("nan")}}, "metrics.map50"),
        ({"network": {"preset": "small", "classes": 3, "side": 64, "grid": 4}}, "3 classes need"),
        ({"format": "atelier-yolov3-tiny-1"}, "network"),
        ({"network": None}, "network"),
        ({"suppression": {"score_threshold": 2.0}}, "between 0 and 1"),
    ],
)
def test_a_description_that_is_not_one_is_refused_by_its_place(
    about, why, sqlite_desk: Desk, tmp_path: Path
):
    told = refuse(sqlite_desk, pack(make_detector("a", "b"), tmp_path, **about))
    assert why in told
    assert len(told) < 700


def test_a_weight_with_an_endless_name_is_not_told_in_full(sqlite_desk: Desk, tmp_path: Path):
    path = tmp_path / "detector.safetensors"
    save_detector(make_detector("a"), path)
    tensors, about = read_tensors(path)
    write_tensors(path, tensors | {"w" * 10**6: torch.zeros(1)}, about)
    why = refuse(sqlite_desk, path.read_bytes())
    assert "not those of the network: www" in why
    assert len(why) < 300


@pytest.mark.parametrize("odd", [float("nan"), float("-inf")])
def test_weights_that_are_no_numbers_are_refused(odd, sqlite_desk: Desk, tmp_path: Path):
    detector = make_detector("a")
    bias = detector.network.get_parameter("head.0.bias")
    bias.data[0] = odd
    assert "head.0.bias" in refuse(sqlite_desk, pack(detector, tmp_path))


def test_a_file_longer_than_allowed_is_refused(sqlite_desk: Desk, monkeypatch):
    monkeypatch.setattr(import_tasks, "MOST_BYTES", 10)
    code, why = sqlite_desk.refuse(bring_in, ImportRequest(file=sqlite_desk.add(b"x" * 11)))
    assert (code, "at most 10 bytes" in why) == ("too_large", True)


def test_a_file_that_is_gone_or_anothers_is_refused(desk: Desk, tmp_path: Path):
    file = Desk(desk.worker).add(pack(make_detector("a"), tmp_path))
    code, why = desk.refuse(bring_in, ImportRequest(file=file))
    assert (code, "Upload it again" in why) == ("invalid_input", True)


def test_classes_and_anchors_of_a_file_of_atelier_are_its_own(sqlite_desk: Desk, tmp_path: Path):
    content = pack(make_detector("a"), tmp_path)
    assert "has its own" in refuse(sqlite_desk, content, classes=["b"])
    assert "has its own" in refuse(sqlite_desk, content, anchors=[[1, 1]] * 6)
    assert "has its own" in refuse(sqlite_desk, content, cfg=sqlite_desk.add(b"[net]"))
    assert "has its own" in refuse(sqlite_desk, content, bordered=False)
