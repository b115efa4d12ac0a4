"""Jobs that train segmentation networks."""

from collections.abc import Callable

import pytest
import torch
from sqlalchemy.orm import Session

from shared.models import find_version
from tests.workers.segment.desk import Desk
from tests.workers.segment.mask_files import make_mask, make_picture
from tests.workers.segment.tiny_trainings import ask, make_files
from workers.runtime import reporting, training
from workers.runtime.checkpoints import CHECKPOINT, open_checkpoints
from workers.runtime.images import decode
from workers.runtime.run import Cancelled
from workers.runtime.trained import UnknownModel
from workers.segment import training_tasks
from workers.segment.evaluation_tasks import evaluate
from workers.segment.loaded import WORKER
from workers.segment.served import KIND
from workers.segment.training_contract import EvaluateRequest, TrainResult
from workers.segment.training_tasks import train

RECTANGLES = make_files(16)  # none of which is said to be held out


def read_weights(desk: Desk, model: str) -> dict[str, torch.Tensor]:
    _, found = desk.worker.models.open(desk.tenant, model, KIND, lambda tensors, _: tensors)
    return found


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_network_is_trained_registered_and_segments(desk: Desk):
    result: TrainResult = desk.do(train, ask(desk, RECTANGLES, name="rectangles", epochs=16))
    assert (result.model, result.classes) == ("rectangles@1", ["0", "1", "2"])
    assert 0.5 < result.measures.mean_iou < result.measures.pixel_accuracy <= 1
    ious = [one.iou for one in result.per_class.values()]
    assert result.measures.mean_iou == pytest.approx(sum(ious) / 3)
    assert sum(one.share for one in result.per_class.values()) == pytest.approx(1)
    assert (result.pictures, result.without_mask) == ({"learned": 12, "held_out": 4}, 0)
    assert (result.resolution, result.parameters > 1e6) == (64, True)
    assert 1 <= result.best_epoch <= result.epochs == 16
    served = desk.worker.segmenters.open(desk.tenant, "rectangles")
    assert (served.name, served.labels) == ("rectangles@1", ("0", "1", "2"))
    assert desk.list_checkpoints() == []


def test_what_lists_of_models_show_is_registered(sqlite_desk: Desk):
    result = sqlite_desk.do(train, ask(sqlite_desk, RECTANGLES, resolution=48, seed=3))
    assert result.resolution == 48
    with sqlite_desk.worker.sessions.read() as session:
        row = find_version(session, sqlite_desk.tenant, WORKER, "segmenter@1")
    assert row.metrics["mean_iou"] == result.measures.mean_iou
    assert row.metrics["loss"] == result.loss
    for name, one in result.per_class.items():
        assert row.metrics[f"iou {name}"] == one.iou
    facts = {"classes": ["0", "1", "2"], "encoder": "thin", "stride": 8, "resolution": 48}
    assert (facts | {"kind": KIND, "seed": 3}).items() <= row.origin.items()


@pytest.mark.parametrize("resolution", [32, 64, 96])
def test_what_a_training_tells_is_what_an_evaluation_finds(sqlite_desk: Desk, resolution):
    files = make_files(8, "train") | make_files(3, "val", seed=1)
    request = ask(sqlite_desk, files, resolution=resolution, epochs=6)
    result = sqlite_desk.do(train, request)
    asked = EvaluateRequest(data=request.data, part="val", model=result.model)
    found = sqlite_desk.do(evaluate, asked)
    assert (found.measures, found.per_class) == (result.measures, result.per_class)
    assert found.measures.mean_iou > 0.2


def test_large_pictures_are_learned_from_at_512_unless_said_otherwise(sqlite_desk: Desk):
    files = {"images/a.png": make_picture(size=(700, 600)), "images/b.png": make_picture(1)}
    files |= {"masks/a.png": make_mask(0, size=(700, 600)), "masks/b.png": make_mask(0)}
    request = ask(sqlite_desk, files, epochs=1, held_out=0, batch_size=1)
    assert sqlite_desk.do(train, request).resolution == 512


def test_followers_see_epochs_and_pictures_with_truth_and_answer(
    sqlite_desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(reporting, "PREVIEW_EVERY", 0.0)
    result = sqlite_desk.do(train, ask(sqlite_desk, RECTANGLES))
    steps = [event["step"] for event in sqlite_desk.steps]
    assert steps[0] == "looking at picture 1 of 16"
    assert "preparing picture 1 of 12" in steps
    assert any(step.startswith("FCN-8s, epoch 1 of 3: loss ") for step in steps)
    assert any(", mean IoU 0." in step for step in steps)
    assert steps[-1] == "measuring"
    fractions = sqlite_desk.progress
    assert (fractions, fractions[0], fractions[-1]) == (sorted(fractions), 0, 1)
    previews = [event["preview"] for event in sqlite_desk.steps if event["preview"]]
    curves, samples = (decode(sqlite_desk.read(one)) for one in (result.curve, result.samples))
    assert curves.size == (2 * 880, 550)  # the loss and the mean IoU, side by side
    assert samples.width == 3 * 488 + 8  # picture, truth, answer
    # the legend grows with the classes that are found
    drawn = decode(sqlite_desk.read(previews[0]))
    assert (drawn.width, drawn.height > 550 + 4 * 488) == (1760, True)


def test_nothing_need_be_held_out(sqlite_desk: Desk):
    result = sqlite_desk.do(train, ask(sqlite_desk, RECTANGLES, held_out=0))
    assert result.pictures == {"learned": 16, "held_out": 0}
    assert (result.measures, result.per_class, result.samples) == (None, {}, None)
    assert decode(sqlite_desk.read(result.curve)).size == (880, 550)


def test_a_part_val_is_what_is_held_out(sqlite_desk: Desk):
    both = make_files(8, "train") | make_files(3, "val", seed=1)
    result = sqlite_desk.do(train, ask(sqlite_desk, both))
    assert result.pictures == {"learned": 8, "held_out": 3}


def test_stages_are_trained_one_after_the_other(sqlite_desk: Desk):
    request = ask(sqlite_desk, RECTANGLES, at_once=False, epochs=1, balanced=True)
    result = sqlite_desk.do(train, request)
    assert (result.epochs, result.best_epoch) == (3, 3)
    steps = " ".join(event["step"] for event in sqlite_desk.steps)
    places = [steps.index(f"FCN-{stride}s, epoch") for stride in (32, 16, 8)]
    assert places == sorted(places)
    assert sqlite_desk.worker.segmenters.open(sqlite_desk.tenant, "segmenter").stride == 8


def test_one_class_is_enough(sqlite_desk: Desk):
    files = make_files(4)
    files |= {name: make_mask(0, size=(64, 64)) for name in files if name.startswith("masks/")}
    result = sqlite_desk.do(train, ask(sqlite_desk, files, epochs=1))
    assert (result.classes, result.measures.mean_iou) == (["0"], 1)


def test_frozen_stages_stay_as_they_were_published(sqlite_desk: Desk):
    request = ask(sqlite_desk, RECTANGLES, encoder="efficientnet-lite0", frozen=5, epochs=1)
    sqlite_desk.do(train, request)
    found = read_weights(sqlite_desk, "segmenter@1")
    first = training_tasks.read_pretrained(request, sqlite_desk.worker.settings)
    assert first is not None
    assert all(torch.equal(found[f"encoder.{name}"], one) for name, one in first.items())


def stop_after(desk: Desk, epochs: int) -> Callable[[], bool]:
    return lambda: any(f"epoch {epochs} of" in step["step"] for step in desk.steps)


@pytest.mark.parametrize("at_once", [True, False])
def test_a_killed_training_goes_on_as_if_it_had_not_stopped(
    sqlite_desk: Desk, monkeypatch: pytest.MonkeyPatch, at_once: bool
):
    desk = sqlite_desk
    monkeypatch.setattr(desk.worker.settings, "checkpoint_every", 0.0)
    monkeypatch.setattr(training, "SAVING", 0)
    request = ask(desk, RECTANGLES, epochs=4 if at_once else 2, at_once=at_once, stride=16)
    whole = desk.do(train, request)
    desk.steps.clear()
    run = desk.make(request)
    run.stop_requested = stop_after(desk, 3)
    with pytest.raises(Cancelled):
        train(desk.worker, [run])
    assert desk.list_checkpoints() == [run.job_id]
    desk.steps.clear()
    run.stop_requested = lambda: False
    [answer] = train(desk.worker, [run])
    resumed = desk.finish(run, answer)
    epochs = [step["step"] for step in desk.steps if ", epoch" in step["step"]]
    assert "epoch 2 of 4" in epochs[0] or "epoch 3 of 4" in epochs[0]
    assert (resumed.model, resumed.measures) == ("segmenter@2", whole.measures)
    assert equal(read_weights(desk, "segmenter@1"), read_weights(desk, "segmenter@2"))
    assert desk.list_checkpoints() == []


def test_a_checkpoint_that_cannot_be_used_is_none(sqlite_desk: Desk):
    run = sqlite_desk.make(ask(sqlite_desk, RECTANGLES))
    worker = sqlite_desk.worker
    folder = open_checkpoints(worker.settings, worker.sessions, run.job_id)
    (folder / CHECKPOINT).write_bytes(b"cut off")
    [answer] = train(worker, [run])
    assert sqlite_desk.finish(run, answer).epochs == 3


def test_a_checkpoint_goes_only_when_the_outcome_is_committed(sqlite_desk: Desk):
    run = sqlite_desk.make(ask(sqlite_desk, RECTANGLES, epochs=1))
    [answer] = train(sqlite_desk.worker, [run])

    def fail(_: Session) -> None:
        raise UnknownModel("the transaction is rolled back")

    run.effects.append(fail)
    assert isinstance(sqlite_desk.finish(run, answer), UnknownModel)
    assert sqlite_desk.list_checkpoints() == [run.job_id]
    run.effects.remove(fail)
    assert sqlite_desk.finish(run, answer).model == "segmenter@1"
    assert sqlite_desk.list_checkpoints() == []


@pytest.mark.parametrize("step", ["preparing picture 1 of 12", "measuring"])
def test_a_training_can_be_cancelled_before_and_after_its_epochs(sqlite_desk, step):
    run = sqlite_desk.make(ask(sqlite_desk, RECTANGLES, epochs=1))
    run.stop_requested = lambda: step in [event["step"] for event in sqlite_desk.steps]
    with pytest.raises(Cancelled):
        train(sqlite_desk.worker, [run])
