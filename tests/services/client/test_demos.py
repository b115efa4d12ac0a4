"""What `atelier demo` runs, and how it fails."""

import re
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from typer.testing import CliRunner

from services.catalog import find_workers
from services.client import Client
from services.client.cli import app
from services.client.demo import run_demos
from services.client.demos import DEMOS, own_detector
from services.client.demos import detect as detect_demo
from services.client.demos import faces as faces_demo
from services.client.demos import text as text_demo
from services.client.demos.detect import PHOTOS, PLAIN_TO_SEE, SECOND_LOOK
from services.client.demos.own_detector import UNSEEN
from services.client.demos.rectangles import draw_rectangle
from services.client.demos.scene import DemoFailed, Scene
from shared.weights import load_catalog
from tests.services.client.fake_api import DRAWN, FakeApi, JobFailed
from tests.services.client.fake_detect import SAMPLES, FakeDetect
from tests.services.client.fake_faces import FakeFaces
from tests.services.client.fake_segment import DEMO_FILES, FakeSegment, show_demo
from tests.services.client.fake_style import DEMO_FILES as PAINTED
from tests.services.client.fake_style import FakeStyle, show_previews
from tests.services.client.fake_text import FakeText
from tests.services.client.fake_text_models import CURVE, WORDS, FakeTextModels

pytestmark = pytest.mark.usefixtures("faces")


def show(name: str) -> bytes:
    """A photo for the fake server, which takes the first word for the person in it."""
    return f"{re.findall('[a-z]+', name)[0]} in {name}".encode()


@pytest.fixture
def scene(
    client: Client, detect: FakeDetect, segment: FakeSegment, style: FakeStyle, tmp_path: Path
) -> Scene:
    files, folder = tmp_path / "files", tmp_path / "demo"
    files.mkdir()
    folder.mkdir()
    for name in {*PHOTOS, *faces_demo.PHOTOS}:
        (files / name).write_bytes(show(name))
    show_demo(segment, files)
    show_previews(style.api, 1)
    plain = [pair for seen in PLAIN_TO_SEE.values() for pair in seen.items()]
    detect.api.labels = {show(name): label for name, label in plain}
    rectangle, drawn = draw_rectangle(Random(UNSEEN))
    detect.api.labels[rectangle] = drawn.label
    return Scene(client, files, folder, own=True)


@pytest.fixture(autouse=True)
def text_that_works(text: FakeText, text_models: FakeTextModels) -> None:
    """What the demo of text needs; photographs stay photographs, though they are words here."""
    text_models.labels = list(text_demo.MODULES)
    text.api.sniff = lambda _: "image/jpeg"


def test_every_worker_has_a_demo_and_its_files_are_pinned() -> None:
    assert [demo.worker for demo in DEMOS] == find_workers()
    for demo in DEMOS:
        assert all(load_catalog().find(name) for name in demo.files)


def test_the_pictures_and_a_row_for_each_job_come_out(scene: Scene) -> None:
    rows = run_demos(DEMOS, scene)
    assert len(rows) == sum(demo.jobs for demo in DEMOS)
    looks = sorted(row.what for _, row in rows if row.what.endswith(("nanodet-g", "-tiny")))
    by_default, again = [f"{name}, nanodet-g" for name in PHOTOS], ["coffee.png, yolov3-tiny"]
    assert looks == sorted([*by_default, *again, "promote nanodet-g"])
    drawn = {file.name: file.read_bytes() for file in scene.folder.iterdir()}
    assert drawn.pop("text-words.png") == WORDS
    assert drawn.pop("detect-samples.jpg") == SAMPLES
    assert drawn.pop("detect-curve.jpg") == CURVE
    parts = {name for name in drawn if name.startswith(("segment-", "style-"))}
    assert parts == {*DEMO_FILES, *PAINTED}
    drawn = {name: content for name, content in drawn.items() if name not in parts}
    assert drawn.pop("text-language.png") == drawn.pop("text-classifier.png") == CURVE
    assert set(drawn.values()) == {DRAWN}
    assert {"coffee.jpg", "coffee-yolov3-tiny.jpg"} <= set(drawn)
    # a portrait of faces, a rectangle and a video are drawn as well
    assert len(drawn) == len(PHOTOS) + len(SECOND_LOOK) + 3


def test_an_object_that_is_plain_to_see_must_be_found(scene: Scene, api: FakeApi) -> None:
    del api.labels[show("coffee.png")]
    with pytest.raises(DemoFailed, match=r"the cup in coffee\.png"):
        run_demos(DEMOS, scene)


def test_a_failed_job_fails_the_demo_with_its_reason(scene: Scene) -> None:
    (scene.files / "rocket.jpg").write_bytes(b"broken")
    with pytest.raises(DemoFailed, match=r"rocket\.jpg: invalid_input: The picture is damaged"):
        run_demos(DEMOS, scene)


def test_a_detector_is_trained_put_in_use_and_deleted_again(
    scene: Scene, detect: FakeDetect
) -> None:
    for _ in range(2):
        rows = {row.what: row.result for _, row in run_demos((detect_demo.DEMO,), scene)}
        assert rows["train on 8 drawn pictures"].endswith("mAP 0.90 on 2 it never saw")
        assert rows["promote nanodet-g"] == "nanodet-g is in use"
        assert rows["a video of 8 photographs"] == "8 x bear"
        assert [model["model"] for model in detect.models] == ["nanodet-g"]


def test_a_model_that_was_in_use_is_so_again(scene: Scene, detect: FakeDetect) -> None:
    detect.promote({"model": detect.add("raccoons@3")})
    run_demos((detect_demo.DEMO,), scene)
    assert [m["model"] for m in detect.models if m["in_use"]] == ["raccoons@3"]


def test_a_stack_that_others_use_keeps_its_model_in_use(scene: Scene, detect: FakeDetect) -> None:
    rows = run_demos((detect_demo.DEMO,), replace(scene, own=False))
    assert len(rows) < detect_demo.JOBS
    assert not detect.requests("promote")
    assert len(detect.requests("forget")) == 1
    assert len(detect.models) == 1


def test_a_network_is_not_kept_if_the_models_cannot_be_listed(
    scene: Scene, detect: FakeDetect
) -> None:
    def fail(_: dict[str, Any]) -> dict[str, Any]:
        raise JobFailed("worker_error", "The worker stopped.")

    detect.api.answers["detect.models"] = fail
    with pytest.raises(DemoFailed, match=r"detect\.models: worker_error"):
        run_demos((detect_demo.DEMO,), scene)
    assert len(detect.requests("forget")) == len(detect.models) == 1


@pytest.mark.parametrize("moment", ["submit", "wait"])
def test_ctrl_c_cancels_the_training(
    scene: Scene, detect: FakeDetect, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Also one that was just accepted: no answer said so."""
    whole, hit = getattr(scene.client, moment), False

    def interrupt(*arguments: Any, **options: Any) -> Any:
        nonlocal hit
        answer = whole(*arguments, **options) if moment == "submit" else None
        trained = [job for job in detect.api.jobs.values() if job["task"] == "detect.train"]
        if trained and not hit:
            hit = True
            raise KeyboardInterrupt
        return answer or whole(*arguments, **options)

    monkeypatch.setattr(scene.client, moment, interrupt)
    detect.api.hold = True
    with pytest.raises(KeyboardInterrupt):
        list(own_detector.use_own_detector(scene))
    (job,) = detect.api.jobs.values()
    assert (job["task"], job["state"]) == ("detect.train", "cancelled")


@pytest.mark.parametrize(
    ("change", "reason"),
    [("precision", "mean average precision of demo-rectangles@1 is 0.30"), ("label", "Not blue")],
)
def test_a_detector_that_finds_too_little_fails_the_demo_and_is_not_kept(
    scene: Scene, detect: FakeDetect, change: str, reason: str
) -> None:
    if change == "precision":
        detect.precision = 0.3
    else:
        del detect.api.labels[draw_rectangle(Random(UNSEEN))[0]]
    with pytest.raises(DemoFailed, match=reason):
        run_demos((detect_demo.DEMO,), scene)
    assert [model["model"] for model in detect.models if model["in_use"]] == ["nanodet-g"]
    assert len(detect.models) == 1


def test_frames_that_are_lost_fail_the_demo(scene: Scene, detect: FakeDetect) -> None:
    detect.frames = 5
    with pytest.raises(DemoFailed, match="In 5 frames was found"):
        run_demos((detect_demo.DEMO,), scene)


def test_known_people_are_told_from_a_stranger_and_nothing_is_kept(
    scene: Scene, faces: FakeFaces
) -> None:
    rows = {row.what: row.result for _, row in run_demos((faces_demo.DEMO,), scene)}
    assert rows["obama3.jpg"] == "obama: very likely"
    assert rows["astronaut.png"] == "unknown"
    assert rows["obama.jpg, obama2.jpg"] == "the same person: very likely"
    assert not faces.collections
    assert all(request["consent"]["expires_at"] for request in faces.requests("enroll"))


@pytest.mark.parametrize(
    ("photo", "content", "reason"),
    [
        ("astronaut.png", b"obama in space", "astronaut.png was taken for obama, not for unknown"),
        ("obama3.jpg", b"somebody", "obama3.jpg was taken for unknown, not for obama"),
        ("obama3.jpg", b"nobody", "faces.identify: no_face"),
        ("obama2.jpg", b"somebody", "not found to show the same person"),
        ("biden.jpg", b"nobody", "A portrait was refused: No face was found"),
    ],
)
def test_a_wrong_name_fails_the_demo_and_nothing_is_kept(
    scene: Scene, faces: FakeFaces, photo: str, content: bytes, reason: str
) -> None:
    (scene.files / photo).write_bytes(content)
    with pytest.raises(DemoFailed, match=reason):
        run_demos((faces_demo.DEMO,), scene)
    (job,) = [job for job in faces.api.jobs.values() if job["task"] == "faces.delete"]
    scene.client.wait(job["id"])
    assert not faces.collections


def test_text_is_counted_encoded_and_learned_and_the_vocabulary_deleted(
    scene: Scene, text: FakeText
) -> None:
    rows = {row.what: row.result for _, row in run_demos((text_demo.DEMO,), scene)}
    assert rows["these numbers"] == text_demo.SENTENCE
    assert rows["the same pages again"].endswith("known, none counted twice")
    assert "90% of lines it never saw are right" in rows["which of 4 modules a line is from"]
    assert not text.documents


def test_a_classifier_that_only_guesses_fails_the_demo(
    scene: Scene, text: FakeText, text_models: FakeTextModels
) -> None:
    text_models.accuracy = 0.4
    with pytest.raises(DemoFailed, match="only 40% were put into their module"):
        run_demos((text_demo.DEMO,), scene)
    assert not text.documents


def test_a_sentence_that_comes_back_otherwise_fails_the_demo(
    scene: Scene, text: FakeText, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_demo, "SENTENCE", "the zyzzyva of a class")
    with pytest.raises(DemoFailed, match="came back as: the <unk> of a class"):
        run_demos((text_demo.DEMO,), scene)
    (job,) = [job for job in text.api.jobs.values() if job["task"] == "text.vocab.delete"]
    scene.client.wait(job["id"])
    assert not text.documents


def test_no_network_and_no_files_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        from shared.weights import PullFailed

        raise PullFailed("No source gave it.")

    monkeypatch.setattr("services.client.weights_commands.pull", refuse)
    result = CliRunner().invoke(app, ["demo"])
    assert result.exit_code == 1
    assert "No source gave it." in result.stderr
