"""What the detect worker cannot do is refused with what to do instead, and it lives on."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from services.client.client import Client
from services.client.problems import Problem
from tests.e2e.clients import do, fail, name_problem, open_clients, pack, run_worker
from tests.workers.detect.labelled_files import YOLO, make_picture, without

EMPTY_ZIP = b"PK\3\4\0\0\0\0"  # it begins as one, and then there is nothing
LONG = "x" * 10_000


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Client, Client]]:
    home = tmp_path_factory.mktemp("refusals") / "home"
    with run_worker(home, "detect") as stack, open_clients(stack) as opened:
        yield opened
        # after all of these, the worker still does its jobs
        found = do(opened[0], "detect.objects", picture=inline(make_picture()))
        assert found["model"] == "nanodet-g"
        assert fail(opened[0], "detect.train", data=inline(EMPTY_ZIP))[0] == "invalid_input"


def inline(content: bytes) -> str:
    return "data:application/octet-stream;base64," + base64.b64encode(content).decode()


PICTURE, HELLO = make_picture(), b"hello, world"
LABELLED = pack({**YOLO, "labels/val/c.txt": "0 0.5 0.5 0.5 0.5\n"})
NO_LABELS = pack({"a.jpg": make_picture(), "notes.md": "none"})
NO_OBJECTS = pack(without(YOLO, "labels/train/a.txt"))
LEAVING = pack({"../../a.jpg": make_picture()})
ZEBUS = pack({**YOLO, "data.yaml": "train: images/train\nval: images/val\nnames: [cat, zebu]\n"})
DAMAGED = LABELLED[: len(LABELLED) // 2]


@pytest.mark.parametrize(
    ("task", "request_", "code", "says"),
    [
        ("detect.train", {"data": inline(HELLO)}, "wrong-media-type", "zip"),
        ("detect.train", {"data": inline(EMPTY_ZIP)}, "invalid_input", "zip cannot be read"),
        ("detect.train", {"data": inline(NO_LABELS)}, "invalid_input", "VOC XML"),
        ("detect.train", {"data": inline(NO_OBJECTS)}, "invalid_input", "no object"),
        ("detect.train", {"data": inline(LEAVING)}, "invalid_input", "leaves"),
        ("detect.train", {"data": inline(DAMAGED)}, "invalid_input", "cannot be read"),
        ("detect.train", {"data": inline(LABELLED), "grid": 13}, "invalid_input", "16 or 32"),
        ("detect.train", {"data": inline(LABELLED), "parts": 3}, "invalid_input", "parts"),
        ("detect.train", {"data": inline(LABELLED), "format": "coco"}, "invalid_input", "COCO"),
        ("detect.train", {"data": inline(LABELLED), "name": LONG}, "invalid-request", "60"),
        ("detect.train", {"data": inline(LABELLED), "name": "../x"}, "invalid-request", "name"),
        (
            "detect.train",
            {"data": inline(LABELLED), "name": "nanodet-g"},
            "invalid-request",
            "another",
        ),
        ("detect.train", {"data": inline(LABELLED), "epochs": 0}, "invalid-request", "epochs"),
        ("detect.train", {"data": inline(LABELLED), "boxes": 10**30}, "invalid-request", "boxes"),
        (
            "detect.train",
            {"data": inline(LABELLED), "learning_rate": 1e308},
            "invalid-request",
            "rate",
        ),
        ("detect.train", {}, "invalid-request", "data"),
        ("detect.train", {"data": "0" * 64}, "unknown-blob", "pload"),
        ("detect.evaluate", {"data": inline(ZEBUS)}, "invalid_input", "zebra"),
        ("detect.evaluate", {"data": inline(NO_LABELS)}, "invalid_input", "VOC XML"),
        (
            "detect.evaluate",
            {"data": inline(LABELLED), "part": "test"},
            "invalid_input",
            "train, val",
        ),
        ("detect.evaluate", {"data": inline(LABELLED), "overlap": 0}, "invalid-request", "overlap"),
        ("detect.objects", {"picture": inline(PICTURE[:-100])}, "invalid_input", "damaged"),
        (
            "detect.objects",
            {"picture": inline(PICTURE), "model": "nobody"},
            "unknown_model",
            "detect.models",
        ),
        ("detect.objects", {"picture": inline(PICTURE), "model": LONG}, "invalid-request", "70"),
        (
            "detect.objects",
            {"picture": inline(PICTURE), "classes": ["unicorn"]},
            "invalid_input",
            "unicorn",
        ),
        ("detect.stream", {"video": inline(HELLO)}, "wrong-media-type", "video"),
        ("detect.stream", {"video": inline(EMPTY_ZIP)}, "invalid_input", "zip cannot be read"),
        (
            "detect.stream",
            {"video": inline(b"\0\0\0\x18ftypisom" + bytes(500))},
            "invalid_input",
            "video",
        ),
        ("detect.stream", {"video": inline(LABELLED), "every": 0}, "invalid-request", "every"),
        ("detect.promote", {"model": "nobody@1"}, "unknown_model", "detect.models"),
        ("detect.promote", {"model": "yolov3-tiny"}, "invalid-request", "nanodet-g"),
        ("detect.promote", {"model": "detector"}, "invalid-request", "model"),
        ("detect.forget", {"model": "nobody@1"}, "unknown_model", "detect.models"),
        ("detect.forget", {"model": "nanodet-g"}, "invalid-request", "model"),
        ("detect.forget", {"model": f"nobody@{10**9}"}, "invalid-request", "model"),
        ("detect.import", {"file": inline(HELLO)}, "invalid_input", "no detector"),
        (
            "detect.import",
            {"file": inline(HELLO), "kind": "darknet", "classes": ["cat"]},
            "invalid_input",
            "darknet",
        ),
        ("detect.import", {"file": inline(HELLO), "kind": "darknet"}, "invalid_input", "classes"),
        ("detect.export", {"model": "nobody"}, "unknown_model", "detect.models"),
        ("detect.export", {"format": "pickle"}, "invalid-request", "onnx"),
        ("detect.export", {"format": "atelier"}, "invalid_input", "onnx"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_done_is_refused_and_says_why(
    client: Client, task: str, request_: dict[str, Any], code: str, says: str
) -> None:
    found, detail = fail(client, task, **request_)
    assert found == code, detail
    assert says in detail


@pytest.mark.parametrize("threshold", ["NaN", "-Infinity", "1.01", "half"])
def test_a_threshold_that_is_none_is_refused(client: Client, threshold: str) -> None:
    with pytest.raises(Problem) as refused:
        client.submit_files(
            "detect.objects", {"picture": make_picture()}, {"score_threshold": threshold}
        )
    kind, detail = name_problem(refused.value)
    assert kind == "invalid-request"
    assert "score_threshold" in detail


@pytest.mark.parametrize(
    ("task", "field"),
    [
        ("detect.objects", "picture"),
        ("detect.train", "data"),
        ("detect.evaluate", "data"),
        ("detect.stream", "video"),
        ("detect.import", "file"),
    ],
)
def test_a_file_of_another_tenant_is_not_there(
    clients: tuple[Client, Client], task: str, field: str
) -> None:
    own, foreign = clients
    content = make_picture(77) if field == "picture" else pack({"own.txt": task})
    blob = foreign.upload(content)["id"]
    assert fail(own, task, **{field: blob})[0] == "unknown-blob"
