"""Training a one-pass network: it learns a style, repeatable and resumable."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from tests.workers.style.desk import draw_noise, draw_scene, draw_stripes
from tests.workers.style.networks import draw_features
from tests.workers.style.small_trainings import SMALL, make_contents
from workers.runtime.checkpoints import CHECKPOINT
from workers.runtime.tensors import read_tensors
from workers.style.one_pass import OnePass, OnePassConfig
from workers.style.one_pass_training import Training
from workers.style.pictures import to_tensor
from workers.style.train import train
from workers.style.train_options import Diverged, Point, Progress, TrainOptions, schedule

FEATURES = draw_features()
STYLE = draw_stripes()
DATA = make_contents(draw_scene(), draw_scene(40, 60), draw_noise())


def ignore(progress: Progress) -> None:
    """Nobody follows this training."""


def equal(left: OnePass, right: OnePass) -> bool:
    """Whether two networks have the same bits."""
    pairs = zip(left.state_dict().values(), right.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


class Stopped(Exception):
    """Somebody cancelled the job."""


def stop_after(steps: int) -> Callable[[Progress], None]:
    """Raises at the first report after so many steps."""

    def report(progress: Progress) -> None:
        if progress.step >= steps:
            raise Stopped

    return report


def begin(options: TrainOptions, folder) -> Training:
    return Training(options, STYLE, DATA, FEATURES, folder / CHECKPOINT)


def go(training: Training, steps: int) -> Training:
    for _ in range(steps):
        training.advance()
        if training.has_seen_all():
            training.end_epoch()
    return training


def test_it_learns_to_paint_in_the_style(tmp_path):
    options = replace(SMALL, steps=60, network=OnePassConfig(8, 1), learning_rate=5e-3)
    trained = train(options, STYLE, DATA, FEATURES, ignore, tmp_path)
    first, last = trained.history[0], trained.history[-1]
    assert last.style < first.style / 2
    assert last.total < first.total * 0.6
    painted = trained.network(to_tensor(draw_scene(48, 48)))
    assert painted.std() > 0.05
    assert not trained.network.training


def test_the_weights_of_the_losses_are_theirs(tmp_path):
    plain = go(begin(SMALL, tmp_path), 1).history[0]
    weights = {"content_weight": 2.0, "style_weight": 3 * SMALL.style_weight, "tv_weight": 4.0}
    weighted = go(begin(replace(SMALL, **weights), tmp_path), 1).history[0]
    assert weighted.content == pytest.approx(2 * plain.content)
    assert weighted.style == pytest.approx(3 * plain.style)
    assert weighted.tv == pytest.approx(4 * plain.tv)
    assert plain.total == pytest.approx(plain.content + plain.style + plain.tv)
    assert min(plain.content, plain.style, plain.tv) > 0


def test_a_style_weighs_in_at_the_size_it_is_asked_for(tmp_path):
    small, large = (begin(replace(SMALL, style_size=side), tmp_path).grams for side in (32, 64))
    assert small.keys() == large.keys() == set(SMALL.style_layers)
    assert not torch.allclose(small["relu1_2"], large["relu1_2"], rtol=0.01)


def test_the_same_seed_gives_the_same_bits_and_another_gives_others(tmp_path):
    torch.manual_seed(1)
    first = train(SMALL, STYLE, DATA, FEATURES, ignore, tmp_path / "first")
    torch.manual_seed(2)  # what others did to chance does not matter
    again = train(SMALL, STYLE, DATA, FEATURES, ignore, tmp_path / "again")
    other = train(replace(SMALL, seed=1), STYLE, DATA, FEATURES, ignore, tmp_path / "other")
    assert equal(first.network, again.network)
    assert first.history == again.history
    assert not equal(first.network, other.network)


@pytest.mark.parametrize("steps", [1, 2, 3, 5])  # a point of the history is of two
def test_a_training_goes_on_from_any_step_as_if_it_had_not_stopped(tmp_path, monkeypatch, steps):
    monkeypatch.setattr("workers.style.train_options.POINTS", 3)
    first = go(begin(SMALL, tmp_path), steps)
    first.save()
    second = begin(SMALL, tmp_path)
    second.resume()
    assert second.describe() == first.describe()
    for training in (first, second):
        go(training, SMALL.steps - steps)
    assert equal(first.network, second.network)
    assert first.history == second.history
    assert [point.step for point in first.history] == [2, 4, 6]
    assert first.is_over()


def test_a_cancelled_training_can_be_taken_up_again(tmp_path):
    whole = train(SMALL, STYLE, DATA, FEATURES, ignore, tmp_path / "whole")
    parts = (SMALL, STYLE, DATA, FEATURES)
    with pytest.raises(Stopped):
        train(*parts, stop_after(4), tmp_path / "parts", report_every=0.0, save_every=0.0)
    assert (tmp_path / "parts" / CHECKPOINT).exists()
    resumed = train(*parts, ignore, tmp_path / "parts")
    assert equal(whole.network, resumed.network)
    assert whole.history == resumed.history


def test_a_training_that_ended_is_not_done_again(tmp_path):
    first = train(SMALL, STYLE, DATA, FEATURES, ignore, tmp_path)
    again = train(SMALL, STYLE, DATA, FEATURES, stop_after(0), tmp_path)  # nothing to report
    assert equal(first.network, again.network)


@pytest.mark.parametrize("change", ["options", "style", "data"])
def test_a_checkpoint_of_another_training_is_refused(tmp_path, change):
    train(SMALL, STYLE, DATA, FEATURES, ignore, tmp_path)
    given = {"options": SMALL, "style": STYLE, "data": DATA}
    given |= {
        "options": {"options": replace(SMALL, tv_weight=0.5)},
        "style": {"style": draw_stripes(period=12)},
        "data": {"data": make_contents(draw_scene())},
    }[change]
    with pytest.raises(ValueError, match="other options or data"):
        train(**given, features=FEATURES, report=ignore, checkpoint_dir=tmp_path)


def test_a_checkpoint_holds_no_pickle_and_nothing_is_left_beside_it(tmp_path):
    train(SMALL, STYLE, DATA, FEATURES, ignore, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [CHECKPOINT]
    tensors, about = read_tensors(tmp_path / CHECKPOINT)
    assert about["step"] == len(about["history"]) == SMALL.steps
    assert {name.split("/")[0] for name in tensors} > {"network", "sums", "optimiser.0"}


def test_a_loss_that_is_no_number_ends_the_training(tmp_path):
    options = replace(SMALL, learning_rate=1e30)
    with pytest.raises(Diverged, match="Lower `learning_rate`"):
        train(options, STYLE, DATA, FEATURES, ignore, tmp_path)


def test_a_step_can_be_stopped_between_layers(tmp_path):
    training = go(begin(SMALL, tmp_path), 1)
    calls: list[int] = []

    def stop() -> None:
        calls.append(1)
        if len(calls) == 30:
            raise Stopped

    with pytest.raises(Stopped):
        training.advance(stop)
    assert training.step == 1


def test_a_step_can_be_stopped_between_layers_of_the_network_forward_and_backward(tmp_path):
    training = begin(SMALL, tmp_path)
    network, done = training.network, []
    layers = [one for one in network.modules() if not list(one.children())]
    for layer in layers:
        layer.register_forward_hook(lambda *_: done.append(1))
    seen = []  # (layers that are done, parameters that have a gradient)

    def look() -> None:
        seen.append((len(done), sum(one.grad is not None for one in network.parameters())))

    training.advance(look)
    assert {forward for forward, _ in seen} == set(range(len(layers) + 1))
    counts = sorted({backward for _, backward in seen})
    assert max(after - before for before, after in pairwise(counts)) <= 3
    assert counts[-1] >= len(list(network.parameters())) - 1


def test_reports_tell_step_share_and_losses(tmp_path):
    reports: list[Progress] = []
    train(SMALL, STYLE, DATA, FEATURES, reports.append, tmp_path, report_every=0.0)
    shares = [report.fraction for report in reports]
    assert shares == sorted(shares)
    assert (reports[0].losses, reports[0].step) == (None, 0)
    assert (reports[-1].step, reports[-1].steps, shares[-1]) == (SMALL.steps, SMALL.steps, 1)
    assert reports[-1].losses == reports[-1].history[-1]


def test_a_history_has_a_hundred_points_at_most():
    assert [replace(SMALL, steps=steps).span for steps in (1, 100, 101, 1999)] == [1, 1, 2, 20]


def test_the_rate_rises_and_falls():
    options = replace(SMALL, steps=400)
    rates = [schedule(step, options) for step in range(400)]
    assert max(rates) == rates[20] == options.learning_rate
    assert rates[:21] == sorted(rates[:21])
    assert rates[20:] == sorted(rates[20:], reverse=True)
    assert 0 < rates[-1] < 1e-3 * options.learning_rate
    assert schedule(0, replace(SMALL, steps=1)) == SMALL.learning_rate


def test_points_sum_their_losses():
    seen = Point(3, content=1.0, style=2.0, tv=0.5).view()
    assert (seen.content, seen.style, seen.tv, seen.total) == (1.0, 2.0, 0.5, 3.5)
