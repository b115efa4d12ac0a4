"""Paintings that are cancelled, and those whose worker is killed."""

from collections.abc import Callable

import numpy as np
import pytest

from tests.workers.style.desk import Desk
from workers.runtime import reporting
from workers.runtime.checkpoints import CHECKPOINT
from workers.runtime.run import Cancelled, Run
from workers.style import painting_job
from workers.style.transfer_contract import TransferRequest, TransferResult
from workers.style.transfer_tasks import transfer


def stop_after(desk: Desk, step: int) -> Callable[[], bool]:
    return lambda: len(desk.steps) >= step


def stop_within(calls: int) -> Callable[[], bool]:
    """Is asked between the layers of the network, too."""
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > calls

    return stop


def stop_and_go_on(desk: Desk, request: TransferRequest, step: int) -> TransferResult:
    """As if the worker were killed after so many steps, and the job were claimed again."""
    run = desk.make(request)
    run.stop_requested = stop_after(desk, step)
    transfer(desk.worker, [run])
    assert isinstance(desk.settled.pop(run.job_id), Cancelled)
    assert desk.list_checkpoints() == [run.job_id]
    desk.steps.clear()
    return go_on(desk, run)


def go_on(desk: Desk, run: Run[TransferRequest]) -> TransferResult:
    run.stop_requested = lambda: False
    [answer] = transfer(desk.worker, [run])
    result = desk.finish(run, answer)
    assert isinstance(result, TransferResult)
    return result


@pytest.fixture
def always_saving(sqlite_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """After each step."""
    monkeypatch.setattr(sqlite_desk.worker.settings, "checkpoint_every", 0.0)
    monkeypatch.setattr(painting_job, "SAVING", 0)
    return sqlite_desk


@pytest.mark.parametrize("kind", ["jpeg", "png"])
@pytest.mark.parametrize(("stop", "kept"), [(3, 2), (4, 4), (6, 6)])
def test_a_cancelled_job_keeps_what_its_last_preview_showed(sqlite_desk: Desk, kind, stop, kept):
    """Also between two sizes, and after its last step: it has no result yet."""
    desk = sqlite_desk
    desk.stops = stop_after(desk, stop)
    [result] = desk.do_all(transfer, desk.ask(preview_every=2, format=kind))
    assert isinstance(result, TransferResult)
    assert (result.steps, result.finished, result.curve) == (kept, False, None)
    picture, preview = (desk.open_picture(one) for one in (result.picture, desk.previews[-1]))
    assert (picture.format, preview.format) == (kind.upper(), "JPEG")
    assert picture.size == preview.size == (result.width, result.height)
    difference = np.asarray(picture.convert("RGB"), int) - np.asarray(preview, int)
    assert np.abs(difference).mean() < 10
    assert result.losses.total == pytest.approx(
        result.losses.content + result.losses.style + result.losses.tv
    )
    assert result.recipe.scales[-1].width == 64


def test_a_size_that_has_had_no_step_is_as_it_was_at_its_start(sqlite_desk: Desk):
    sqlite_desk.stops = stop_after(sqlite_desk, 4)
    [kept] = sqlite_desk.do_all(transfer, sqlite_desk.ask(preview_every=4))
    assert (kept.width, kept.steps) == (64, 4)
    assert kept.start == kept.losses


def test_a_job_that_is_cancelled_before_its_first_preview_keeps_nothing(sqlite_desk: Desk):
    sqlite_desk.stops = lambda: True
    assert sqlite_desk.do_all(transfer, sqlite_desk.ask()) == [None]
    assert sqlite_desk.steps == []


@pytest.mark.parametrize(("calls", "steps"), [(10, 0), (30, 0), (60, 0), (90, 0), (110, 1)])
def test_a_job_stops_in_the_midst_of_a_step(sqlite_desk: Desk, monkeypatch, calls, steps):
    """Nothing that takes long is done between two questions whether to stop.

    At 90 the first preview is measured, at 110 the result.
    """
    monkeypatch.setattr(reporting, "PREVIEW_EVERY", 0.0)
    sqlite_desk.stops = stop_within(calls)
    sqlite_desk.do_all(transfer, sqlite_desk.ask(steps=1, scales=1))
    assert [type(ended) for ended in sqlite_desk.settled.values()] == [Cancelled]
    assert len(sqlite_desk.steps) == steps


@pytest.mark.parametrize(
    "fields",
    [{}, {"start": "noise", "colours": "content"}, {"precision": "bfloat16", "scales": 1}],
    ids=["usual", "noise", "bfloat16"],
)
@pytest.mark.parametrize("step", [1, 4, 5])
def test_a_killed_painting_goes_on_as_if_it_had_not_stopped(always_saving: Desk, fields, step):
    """Within a size, between two, and in the last."""
    desk = always_saving
    request = desk.ask(**fields, format="png")
    whole = desk.do(transfer, request)
    desk.steps.clear()
    result = stop_and_go_on(desk, request, step)
    assert desk.steps[0]["step"].startswith(f"step {step + 1} of 6")
    assert desk.steps[0]["preview"] is not None
    assert result.picture == whole.picture
    assert (result.losses, result.curve) == (whole.losses, whole.curve)
    assert desk.list_checkpoints() == []


@pytest.mark.parametrize("start", ["content", "noise"])
@pytest.mark.parametrize("strength", [1, 100])
def test_what_l_bfgs_shows_is_better_than_the_start(sqlite_desk: Desk, start, strength):
    request = sqlite_desk.ask(preset="gatys", steps=40, start=start, strength=strength)
    for step in range(1, 16, 2):
        run = sqlite_desk.make(request.model_copy(update={"preview_every": step}))
        sqlite_desk.steps.clear()
        run.stop_requested = stop_after(sqlite_desk, step)
        transfer(sqlite_desk.worker, [run])
        assert isinstance(run.kept, TransferResult)
        assert run.kept.losses.total < run.kept.start.total


def test_l_bfgs_goes_on_with_an_empty_memory(always_saving: Desk):
    request = always_saving.ask(optimiser="lbfgs")
    result = stop_and_go_on(always_saving, request, 5)
    assert result.finished
    assert result.losses.total < result.start.total


def test_a_checkpoint_of_another_painting_is_not_used(always_saving: Desk):
    desk = always_saving
    run = desk.make(desk.ask())
    run.stop_requested = stop_after(desk, 3)
    transfer(desk.worker, [run])
    run.request = desk.ask(seed=1, start="noise")
    desk.steps.clear()
    assert go_on(desk, run).picture == desk.do(transfer, run.request).picture
    assert desk.steps[0]["step"].startswith("step 1 of 6")


def test_a_damaged_checkpoint_is_not_used(always_saving: Desk):
    desk = always_saving
    run = desk.make(desk.ask())
    run.stop_requested = stop_after(desk, 3)
    transfer(desk.worker, [run])
    path = desk.checkpoints / run.job_id / CHECKPOINT
    path.write_bytes(path.read_bytes()[:1000])
    assert go_on(desk, run).finished
    assert desk.list_checkpoints() == []


def test_checkpoints_are_written_so_many_seconds_apart(sqlite_desk: Desk):
    sqlite_desk.stops = stop_after(sqlite_desk, 3)
    sqlite_desk.do_all(transfer, sqlite_desk.ask(preview_every=1))
    assert not list(sqlite_desk.checkpoints.glob("*/*"))
