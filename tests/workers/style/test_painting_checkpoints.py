"""A painting that is saved goes on from there, and no other does."""

import numpy as np
import pytest

from tests.workers.style.desk import draw_noise
from tests.workers.style.networks import draw_features
from tests.workers.style.painted import draw_half_mask, finish, make_painting
from workers.runtime.checkpoints import UnusableCheckpoint
from workers.style.painting import paint
from workers.style.stops import ignore


@pytest.fixture(scope="module")
def features():
    return draw_features()


@pytest.mark.parametrize("stop", [0, 3, 6, 8, 10])
@pytest.mark.parametrize("options", [{}, {"region": draw_half_mask(), "start": "noise"}])
def test_a_checkpoint_goes_on_as_if_nothing_had_happened(features, tmp_path, stop, options):
    path = tmp_path / "checkpoint"
    whole = finish(make_painting(steps=10, **options), features)
    first = make_painting(steps=10, **options)
    while first.step < stop:
        paint([first], features, ignore)
    first.save(path)
    second = make_painting(steps=10, **options)
    second.resume(path)
    finish(second, features)
    assert np.array_equal(np.asarray(second.render()), np.asarray(whole.render()))
    assert second.history == whole.history


@pytest.mark.parametrize("stop", range(1, 12))
@pytest.mark.parametrize("start", ["content", "noise"])
def test_lbfgs_goes_on_from_the_picture_and_never_rises(features, tmp_path, stop, start):
    options = {"preset": "gatys", "steps": 20, "start": start}
    first = make_painting(**options)
    while first.step < stop:
        paint([first], features, ignore)
    first.save(tmp_path / "checkpoint")
    second = make_painting(**options)
    second.resume(tmp_path / "checkpoint")
    finish(second, features)
    assert second.history[:stop] == first.history
    totals = [one.total for one in second.history]
    assert totals == sorted(totals, reverse=True)
    assert totals[-1] < totals[stop - 1]


@pytest.mark.parametrize(
    "other",
    [
        {"content": draw_noise(64, 48)},
        {"styles": (draw_noise(),)},
        {"region": draw_half_mask()},
        {"steps": 11},
        {"style_scale": 0.5},
        {"start": "noise"},
        {"start": "noise", "seed": 1},
        {"learning_rate": 0.5},
    ],
    ids=lambda options: "-".join(options),
)
def test_the_checkpoint_of_another_painting_is_refused(tmp_path, other):
    make_painting(steps=10).save(tmp_path / "checkpoint")
    with pytest.raises(UnusableCheckpoint):
        make_painting(**{"steps": 10, **other}).resume(tmp_path / "checkpoint")


def test_a_damaged_checkpoint_is_refused(tmp_path):
    path = tmp_path / "checkpoint"
    path.write_bytes(b"not this")
    with pytest.raises(UnusableCheckpoint):
        make_painting().resume(path)
