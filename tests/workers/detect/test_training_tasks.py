"""Jobs that train detectors."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from sqlalchemy.orm import Session

from shared.models import find_version
from tests.workers.detect.coloured import SIZE, make_pictures, write_yolo
from tests.workers.detect.desk import Desk
from tests.workers.detect.labelled_files import VOC, YOLO, make_picture, make_zip
from workers.detect.loaded import WORKER
from workers.detect.objects_contract import ObjectsRequest
from workers.detect.objects_tasks import objects
from workers.detect.served import KIND
from workers.detect.training_contract import TrainRequest, TrainResult
from workers.detect.training_tasks import train
from workers.runtime import memory, training
from workers.runtime.checkpoints import CHECKPOINT, open_checkpoints
from workers.runtime.images import decode
from workers.runtime.run import Cancelled
from workers.runtime.trained import UnknownModel

TINY = {"side": 64, "grid": 4, "batch_size": 4, "epochs": 8, "held_out": 0.25, "augment": False}
TINY |= {"learning_rate": 1e-2, "score_threshold": 0.05, "confidence": "one"}
# without batch normalisation, and so fast
DIVERGING = {"preset": "fast-yolo", "grid": 1, "optimiser": "sgd", "learning_rate": 10}


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A zip of coloured squares, none of which is said to be held out."""
    folder = tmp_path_factory.mktemp("squares")
    write_yolo(folder, 32)
    return zip_folder(folder)


def zip_folder(folder: Path) -> bytes:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return make_zip({str(path.relative_to(folder)): path.read_bytes() for path in paths}).getvalue()


def ask(desk: Desk, content: bytes, **values: Any) -> TrainRequest:
    return TrainRequest.model_validate({"data": desk.add(content), **TINY, **values})


def read_weights(desk: Desk, model: str) -> dict[str, torch.Tensor]:
    _, found = desk.worker.models.open(desk.tenant, model, KIND, lambda tensors, _: tensors)
    return found


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_detector_is_trained_registered_and_finds_objects(desk: Desk, squares: bytes):
    result: TrainResult = desk.do(train, ask(desk, squares, name="squares"))
    assert (result.model, result.classes) == ("squares@1", ["red", "blue"])
    assert 0.2 < result.metrics["map50"] <= 1
    classes = (result.metrics["ap50 red"], result.metrics["ap50 blue"])
    assert result.metrics["map50"] == pytest.approx(sum(classes) / 2)
    assert (result.pictures, sum(result.objects.values())) == ({"learned": 24, "held_out": 8}, 64)
    assert 1 <= result.best_epoch <= result.epochs <= 8
    unseen = make_pictures(1, seed=5).pictures[0]
    request = ObjectsRequest(picture=desk.add(unseen.read()), model="squares")
    found = desk.do(objects, request)
    assert (found.model, found.width) == ("squares@1", SIZE)
    assert {box.label for box in found.boxes} <= {"red", "blue"}
    assert found.boxes
    assert desk.list_checkpoints() == []


def test_what_lists_of_models_show_is_registered(sqlite_desk: Desk, squares: bytes):
    result = sqlite_desk.do(train, ask(sqlite_desk, squares, name="squares", seed=3))
    with sqlite_desk.worker.sessions.read() as session:
        row = find_version(session, sqlite_desk.tenant, WORKER, "squares@1")
    assert row.metrics == result.metrics
    facts = {"classes": ["red", "blue"], "side": 64, "score_threshold": 0.05}
    facts |= {"iou_threshold": 0.45, "kind": KIND, "seed": 3}
    assert facts.items() <= row.origin.items()


def test_followers_see_epochs_and_pictures_of_what_is_found(sqlite_desk: Desk, squares: bytes):
    result = sqlite_desk.do(train, ask(sqlite_desk, squares))
    steps = [event["step"] for event in sqlite_desk.steps]
    assert steps[0] == "looking at picture 1 of 32"
    assert "preparing picture 1 of 24" in steps
    assert any(step.startswith("epoch 1 of 8: loss ") and ", mAP 0." in step for step in steps)
    assert steps[-1] == "measuring"
    previews = [event["preview"] for event in sqlite_desk.steps if event["preview"]]
    curves, samples = (decode(sqlite_desk.read(one)) for one in (result.curve, result.samples))
    assert curves.size == (2 * 880, 550)  # the loss and the precision, side by side
    assert samples.size == (3 * 648 + 8, 2 * 648 + 8)
    assert decode(sqlite_desk.read(previews[0])).size == (samples.width, 550 + samples.height)
    assert decode(sqlite_desk.read(result.precision_recall)).size == (880, 550)


def test_nothing_need_be_held_out(sqlite_desk: Desk, squares: bytes):
    result = sqlite_desk.do(train, ask(sqlite_desk, squares, held_out=0, epochs=2))
    assert result.pictures == {"learned": 32, "held_out": 0}
    assert set(result.metrics) == {"epochs", "best_epoch", "loss"}
    assert (result.precision_recall, result.samples) == (None, None)
    assert decode(sqlite_desk.read(result.curve)).size == (880, 550)


def test_a_part_val_is_what_is_held_out(sqlite_desk: Desk, tmp_path: Path):
    write_yolo(tmp_path, 24)
    write_yolo(tmp_path, 6, part="val", seed=1)
    result = sqlite_desk.do(train, ask(sqlite_desk, zip_folder(tmp_path)))
    assert result.pictures == {"learned": 24, "held_out": 6}


def test_a_part_val_without_objects_is_refused(sqlite_desk: Desk, tmp_path: Path):
    write_yolo(tmp_path, 24)
    write_yolo(tmp_path, 2, part="val", seed=1)
    for path in (tmp_path / "labels" / "val").iterdir():
        path.write_text("")
    code, why = sqlite_desk.refuse(train, ask(sqlite_desk, zip_folder(tmp_path)))
    assert (code, "part val has no object" in why) == ("invalid_input", True), why


def test_odd_names_are_drawn_and_kept(sqlite_desk: Desk, tmp_path: Path):
    write_yolo(tmp_path, 32)
    (tmp_path / "data.yaml").write_text("train: images/train\nnames: ['5 $ _x^2', 红]\n")
    result = sqlite_desk.do(train, ask(sqlite_desk, zip_folder(tmp_path)))
    assert result.classes == ["5 $ _x^2", "红"]
    assert decode(sqlite_desk.read(result.precision_recall)).size == (880, 550)


def stop_after(desk: Desk, epochs: int) -> Callable[[], bool]:
    return lambda: any(step["step"].startswith(f"epoch {epochs} of") for step in desk.steps)


def test_a_killed_training_goes_on_as_if_it_had_not_stopped(
    sqlite_desk: Desk, squares: bytes, monkeypatch: pytest.MonkeyPatch
):
    desk = sqlite_desk
    monkeypatch.setattr(desk.worker.settings, "checkpoint_every", 0.0)
    monkeypatch.setattr(training, "SAVING", 0)
    whole = desk.do(train, ask(desk, squares, held_out=0, epochs=4))
    desk.steps.clear()
    run = desk.make(ask(desk, squares, held_out=0, epochs=4))
    run.stop_requested = stop_after(desk, 3)
    with pytest.raises(Cancelled):
        train(desk.worker, [run])
    assert desk.list_checkpoints() == [run.job_id]
    desk.steps.clear()
    run.stop_requested = lambda: False
    [answer] = train(desk.worker, [run])
    resumed = desk.finish(run, answer)
    epochs = [step["step"] for step in desk.steps if step["step"].startswith("epoch")]
    assert epochs[0].startswith(("epoch 2 of 4", "epoch 3 of 4"))
    assert (resumed.model, resumed.metrics) == ("detector@2", whole.metrics)
    assert equal(read_weights(desk, "detector@1"), read_weights(desk, "detector@2"))
    assert desk.list_checkpoints() == []


def test_a_checkpoint_that_cannot_be_used_is_none(sqlite_desk: Desk, squares: bytes):
    run = sqlite_desk.make(ask(sqlite_desk, squares))
    worker = sqlite_desk.worker
    folder = open_checkpoints(worker.settings, worker.sessions, run.job_id)
    (folder / CHECKPOINT).write_bytes(b"cut off")
    [answer] = train(sqlite_desk.worker, [run])
    assert sqlite_desk.finish(run, answer).epochs == 8


def test_a_checkpoint_goes_only_when_the_outcome_is_committed(sqlite_desk: Desk, squares: bytes):
    run = sqlite_desk.make(ask(sqlite_desk, squares))
    [answer] = train(sqlite_desk.worker, [run])

    def fail(_: Session) -> None:
        raise UnknownModel("the transaction is rolled back")

    run.effects.append(fail)
    assert isinstance(sqlite_desk.finish(run, answer), UnknownModel)
    assert sqlite_desk.list_checkpoints() == [run.job_id]
    run.effects.remove(fail)
    assert sqlite_desk.finish(run, answer).model == "detector@1"
    assert sqlite_desk.list_checkpoints() == []


@pytest.mark.parametrize("step", ["preparing picture 1 of 24", "measuring"])
def test_a_training_can_be_cancelled_before_and_after_its_epochs(sqlite_desk, squares, step):
    run = sqlite_desk.make(ask(sqlite_desk, squares, epochs=1))
    run.stop_requested = lambda: step in [event["step"] for event in sqlite_desk.steps]
    with pytest.raises(Cancelled):
        train(sqlite_desk.worker, [run])


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"learning_rate": 1e-9, "epochs": 1}, "none of the objects held out"),
        (DIVERGING, "Lower the learning rate"),
    ],
    ids=["useless", "diverged"],
)
def test_what_learned_nothing_is_not_kept(sqlite_desk: Desk, squares: bytes, values, text):
    code, why = sqlite_desk.refuse(train, ask(sqlite_desk, squares, **values))
    assert (code, text in why, "othing was kept" in why) == ("invalid_input", True, True), why
    assert sqlite_desk.list_checkpoints() == []
    with pytest.raises(UnknownModel):
        sqlite_desk.worker.models.check(sqlite_desk.tenant, "detector")


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"side": 224, "grid": 8}, "The side of small is 16 or 32 pixels"),
        ({"preset": "yolo-v1", "side": 224, "grid": 14}, "The side of yolo-v1 is 64 pixels"),
        ({"parts": 5}, "A batch of 4 pictures cannot be 5 parts"),
        ({"held_out": 0.9, "batch_size": 64, "parts": 8}, "A batch of 3 pictures"),
        ({"side": 32, "grid": 1, "batch_size": 1}, "larger `grid` or `batch_size`"),
    ],
    ids=["grid", "preset", "parts", "few", "one"],
)
def test_options_that_do_not_fit_together_are_refused(sqlite_desk, squares, values, text):
    code, why = sqlite_desk.refuse(train, ask(sqlite_desk, squares, **values))
    assert (code, text in why) == ("invalid_input", True), why
    assert sqlite_desk.list_checkpoints() == []


def flat(path: str) -> dict[str, bytes | str]:
    return {path: make_picture(9, kind="PNG")}


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ({}, "There are no labels"),
        (flat("a.png"), "There are no labels"),
        ({**flat("a.png"), "a.txt": "", "classes.txt": "cat"}, "no object to learn from"),
        ({"classes.txt": "cat", "a.txt": "0 .5 .5 .5 .5", "a.png": b"text"}, "a.png"),
        ({**flat("a.png"), "a.txt": "0 .5 .5 nan .5", "classes.txt": "cat"}, "a.txt"),
        ({**flat("a.png"), "a.txt": "7 .5 .5 .5 .5", "classes.txt": "cat"}, "a.txt"),
        ({**flat("a.png"), "a.txt": "0 .5 .5 .5 .5", "classes.txt": "a\x07b"}, "be shown"),
        ({**YOLO, "images/train/a.jpg": make_picture(1)[:-40]}, "a.jpg"),
        ({**VOC, "Annotations/a.xml": "<annotation>"}, "a.xml"),
        ({"../a.xml": "x"}, "leaves the zip"),
    ],
    ids=str,
)
def test_data_that_cannot_be_used_is_refused_and_leaves_no_checkpoint(sqlite_desk, files, text):
    content = make_zip(files).getvalue()
    code, why = sqlite_desk.refuse(train, ask(sqlite_desk, content))
    assert (code, text in why) == ("invalid_input", True), why
    assert sqlite_desk.list_checkpoints() == []


def test_what_is_no_zip_is_refused(sqlite_desk: Desk, squares: bytes):
    for content in (b"text", squares[:-30], b"PK\3\4" + b"0" * 99):
        code, why = sqlite_desk.refuse(train, ask(sqlite_desk, content))
        assert (code, "zip cannot be read" in why) == ("invalid_input", True), why


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(sqlite_desk: Desk):
    file = BytesIO()
    Image.new("1", (20_000, 20_000)).save(file, "PNG")
    files = {"a.png": file.getvalue(), "a.txt": "0 .5 .5 .5 .5", "classes.txt": "cat"}
    code, why = sqlite_desk.refuse(train, ask(sqlite_desk, make_zip(files).getvalue()))
    assert (code, "more than 40000000" in why) == ("invalid_input", True), why


def test_what_does_not_fit_into_memory_is_refused_at_once(sqlite_desk, squares, monkeypatch):
    monkeypatch.setattr(memory, "find_memory", lambda: 6 * 2**30)
    for values in (
        {"preset": "yolo-v1", "side": 448, "grid": 7},
        {"side": 896, "grid": 56, "batch_size": 512},
    ):
        code, why = sqlite_desk.refuse(train, ask(sqlite_desk, squares, **values))
        assert (code, "GB of memory" in why) == ("too_large", True), why
    assert sqlite_desk.list_checkpoints() == []


def test_weights_that_were_not_fetched_are_asked_for(sqlite_desk: Desk, squares: bytes, tmp_path):
    elsewhere = sqlite_desk.worker.settings.model_copy(update={"weights_dir": tmp_path / "none"})
    sqlite_desk.worker.settings = elsewhere
    request = ask(sqlite_desk, squares, preset="efficientnet-lite0")
    code, why = sqlite_desk.refuse(train, request)
    assert code == "missing_weights"
    assert "atelier weights pull" in why
    assert "`pretrained` false" in why
