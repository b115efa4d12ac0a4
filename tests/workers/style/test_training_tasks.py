"""Jobs that train one-pass networks."""

import re

import pytest
import torch
from sqlalchemy.orm import Session

from shared.models import find_version
from tests.workers.style.desk import Desk, draw_scene, save
from tests.workers.style.small_trainings import ask
from workers.runtime import memory, reporting, training
from workers.runtime.checkpoints import CHECKPOINT, open_checkpoints
from workers.runtime.images import decode
from workers.runtime.run import Cancelled
from workers.runtime.trained import UnknownModel
from workers.style.loaded import WORKER
from workers.style.served import KIND
from workers.style.training_contract import TrainResult
from workers.style.training_tasks import train


def read_weights(desk: Desk, model: str) -> dict[str, torch.Tensor]:
    _, found = desk.worker.models.open(desk.tenant, model, KIND, lambda tensors, _: tensors)
    return found


def test_a_network_is_trained_registered_and_paints(desk: Desk):
    result: TrainResult = desk.do(train, ask(desk, name="stripes", steps=30, learning_rate=5e-3))
    assert (result.model, result.steps) == ("stripes@1", 30)
    assert (result.pictures, result.left_out) == (4, 1)
    assert result.losses.style < result.start.style
    served = desk.worker.painters.open(desk.tenant, "stripes")
    assert served.name == "stripes@1"
    assert result.parameters == sum(one.numel() for one in served.network.parameters())
    assert served.paint(torch.rand(1, 3, 20, 30)).shape == (1, 3, 20, 30)
    assert desk.list_checkpoints() == []


def test_what_lists_of_models_show_is_registered(sqlite_desk: Desk):
    result = sqlite_desk.do(train, ask(sqlite_desk, seed=3))
    with sqlite_desk.worker.sessions.read() as session:
        row = find_version(session, sqlite_desk.tenant, WORKER, "style@1")
    assert row.metrics["start_style"] == result.start.style
    assert row.metrics["end_total"] == result.losses.total
    assert row.metrics["steps"] == 6
    assert {"width": 4, "blocks": 1, "kind": KIND, "seed": 3}.items() <= row.origin.items()


def test_followers_see_steps_losses_and_painted_pictures(
    sqlite_desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    for name in ("PREVIEW_EVERY", "REPORT_EVERY"):
        monkeypatch.setattr(reporting, name, 0.0)
    monkeypatch.setattr("workers.style.training_tasks.REPORT_EVERY", 0.0)
    result = sqlite_desk.do(train, ask(sqlite_desk))
    steps = [event["step"] for event in sqlite_desk.steps]
    assert steps[0] == "looking at picture 1 of 5"
    assert "preparing picture 1 of 4" in steps
    told = r"step \d of 6: content [\d.e+-]+, style [\d.e+-]+, tv [\d.e+-]+"
    assert re.fullmatch(told, steps[-1])
    fractions = sqlite_desk.progress
    assert (fractions, fractions[0], fractions[-1]) == (sorted(fractions), 0, 1)
    shown = [decode(sqlite_desk.read(one)) for one in (sqlite_desk.previews[0], result.samples)]
    # the style, and below it three pictures, each beside as it is painted
    assert [one.size for one in shown] == [(2 * 328 + 8, 320 + 8 + 3 * (256 + 8))] * 2
    assert decode(sqlite_desk.read(result.curve)).size == (880, 550)


@pytest.mark.parametrize(
    ("values", "code", "reason"),
    [
        ({"content_layer": "relu3_4"}, "invalid_input", "vgg16 has no layer 'relu3_4'"),
        ({"style_layers": ["relu1_1", "conv5_4"]}, "invalid_input", "no layer 'conv5_4'"),
        ({"style_weight": 0.0}, "invalid_input", "there is no style to learn: raise it"),
        ({"tv_weight": 1e12, "learning_rate": 0.1, "steps": 30}, "invalid_input", "in one colour"),
        ({"files": {"a.txt": "no picture"}}, "invalid_input", "None of the 1 files is a picture"),
        ({"files": {"../a.png": b""}}, "invalid_input", "leaves the zip"),
        ({"data": "f" * 32}, "invalid_input", "is gone. Upload it again"),
        ({"style": "f" * 32}, "invalid_input", "is gone. Upload it again"),
        ({"window": 1024, "batch_size": 64}, "too_large", "Use a smaller `window`"),
    ],
    ids=["content", "layers", "weight", "flat", "texts", "path", "data", "style", "memory"],
)
def test_what_cannot_be_trained_is_refused(sqlite_desk: Desk, values, code, reason):
    told = sqlite_desk.refuse(train, ask(sqlite_desk, **values))
    assert told[0] == code
    assert reason in told[1]
    assert sqlite_desk.list_checkpoints() == []


def test_a_style_that_is_no_picture_is_refused(sqlite_desk: Desk):
    request = ask(sqlite_desk, style=sqlite_desk.add(b"no picture"))
    assert "not a JPEG, PNG or WEBP" in sqlite_desk.refuse(train, request)[1]


def test_a_style_over_the_pixel_limit_is_refused(sqlite_desk: Desk):
    limits = sqlite_desk.worker.settings.model_copy(update={"max_pixels": 1000})
    sqlite_desk.worker.settings = limits
    code, told = sqlite_desk.refuse(train, ask(sqlite_desk))
    assert (code, "more than 1000" in told) == ("invalid_input", True)


@pytest.mark.parametrize("size", [(1, 1), (1000, 3), (3, 1000)])
def test_odd_pictures_are_learned_from(sqlite_desk: Desk, size):
    odd = save(draw_scene(20, 20).resize(size))
    request = ask(sqlite_desk, style=sqlite_desk.add(odd), files={"odd.png": odd}, steps=1)
    assert sqlite_desk.do(train, request).pictures == 1


def test_a_killed_training_goes_on_as_if_it_had_not_stopped(
    sqlite_desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    desk = sqlite_desk
    monkeypatch.setattr(desk.worker.settings, "checkpoint_every", 0.0)
    monkeypatch.setattr(training, "SAVING", 0)
    monkeypatch.setattr("workers.style.training_tasks.REPORT_EVERY", 0.0)
    request = ask(desk)
    desk.do(train, request)
    run = desk.make(request)
    desk.steps.clear()
    run.stop_requested = lambda: any("step 4 of" in event["step"] for event in desk.steps)
    with pytest.raises(Cancelled):
        train(desk.worker, [run])
    assert desk.list_checkpoints() == [run.job_id]
    desk.steps.clear()
    run.stop_requested = lambda: False
    [answer] = train(desk.worker, [run])
    assert desk.finish(run, answer).model == "style@2"
    steps = [event["step"] for event in desk.steps if event["step"].startswith("step")]
    assert re.match("step [34] of 6", steps[0])
    first, second = (read_weights(desk, f"style@{number}") for number in (1, 2))
    assert all(torch.equal(first[name], one) for name, one in second.items())
    assert desk.list_checkpoints() == []


def test_a_checkpoint_that_cannot_be_used_is_none(sqlite_desk: Desk):
    run = sqlite_desk.make(ask(sqlite_desk))
    worker = sqlite_desk.worker
    folder = open_checkpoints(worker.settings, worker.sessions, run.job_id)
    (folder / CHECKPOINT).write_bytes(b"cut off")
    [answer] = train(worker, [run])
    assert sqlite_desk.finish(run, answer).steps == 6


def test_a_checkpoint_goes_only_when_the_outcome_is_committed(sqlite_desk: Desk):
    run = sqlite_desk.make(ask(sqlite_desk))
    [answer] = train(sqlite_desk.worker, [run])

    def fail(_: Session) -> None:
        raise UnknownModel("the transaction is rolled back")

    run.effects.append(fail)
    assert isinstance(sqlite_desk.finish(run, answer), UnknownModel)
    assert sqlite_desk.list_checkpoints() == [run.job_id]
    run.effects.remove(fail)
    assert sqlite_desk.finish(run, answer).model == "style@1"
    assert sqlite_desk.list_checkpoints() == []


@pytest.mark.parametrize("step", ["looking at picture 1 of 5", "preparing picture 1 of 4"])
def test_a_training_can_be_cancelled_before_its_first_step(sqlite_desk: Desk, step):
    run = sqlite_desk.make(ask(sqlite_desk))
    run.stop_requested = lambda: step in [event["step"] for event in sqlite_desk.steps]
    with pytest.raises(Cancelled):
        train(sqlite_desk.worker, [run])


def test_one_job_that_is_refused_does_not_end_the_others(sqlite_desk: Desk):
    good, bad = ask(sqlite_desk), ask(sqlite_desk, style_weight=0.0)
    refused, trained = sqlite_desk.do_all(train, bad, good)
    assert refused.code == "invalid_input"
    assert trained.model == "style@1"


def test_what_takes_too_much_memory_is_refused(sqlite_desk: Desk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memory, "find_memory", lambda: 2**18)
    code, told = sqlite_desk.refuse(train, ask(sqlite_desk))
    assert (code, "Training would take" in told) == ("too_large", True)
