"""Training a network: in stages or at once, repeatable, resumable, and it learns."""

import re
from dataclasses import replace

import pytest
import torch

from tests.workers.segment.coloured import make_pictures
from workers.runtime.checkpoints import CHECKPOINT
from workers.runtime.tensors import read_tensors
from workers.segment.augment import Augmentation
from workers.segment.batches import Pictures
from workers.segment.fcn import FCN
from workers.segment.fcn_config import FcnConfig
from workers.segment.train import train
from workers.segment.train_options import Diverged, Progress, TrainOptions, schedule, split_parts
from workers.segment.training import Training, advise
from workers.segment.validation import measure_network
from workers.segment.weights import make_network

NETWORK = FcnConfig(3, "thin", 16, fc6_padding=1)
SMALL = TrainOptions(NETWORK, window=(48, 64), epochs=2, batch=4, validation=0.25)
STILL = Augmentation(scale=1, exposure=1, flip=0)
PICTURES = make_pictures(12)


def ignore(progress: Progress) -> None:
    """Nobody follows this training."""


def equal(left: FCN, right: FCN) -> bool:
    """Whether two networks have the same bits."""
    pairs = zip(left.state_dict().values(), right.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


class Stopped(Exception):
    """Somebody cancelled the job."""


def stop_at(count: int):
    """Raises at the report of this number."""
    reports: list[Progress] = []

    def report(progress: Progress) -> None:
        reports.append(progress)
        if len(reports) == count:
            raise Stopped

    return report


def go(training: Training, steps: int) -> Training:
    for _ in range(steps):
        training.advance()
        if training.has_seen_all():
            training.end_epoch(lambda: None)
    return training


@pytest.mark.parametrize("at_once", [False, True])
def test_it_learns_to_segment_pictures_it_has_not_seen(tmp_path, at_once):
    network = replace(NETWORK, stride=8, at_once=at_once)
    options = TrainOptions(
        network,
        augmentation=STILL,
        window=(64, 64),
        epochs=20 if at_once else 8,
        batch=4,
        validation=0.0,
        learning_rate=4e-3,
    )
    trained = train(options, make_pictures(16), ignore, tmp_path)
    score = measure_network(trained.network, Pictures(make_pictures(8, seed=1)))
    assert score.mean_iou >= 0.5
    assert trained.history[-1].loss < trained.history[0].loss / 2


def test_stages_refine_what_the_one_before_has_learned(tmp_path):
    options = replace(SMALL, network=replace(NETWORK, stride=8))
    trained = train(options, PICTURES, ignore, tmp_path)
    assert [epoch.stride for epoch in trained.history] == [32, 32, 16, 16, 8, 8]
    assert trained.network.config.stride == 8
    assert trained.best in (5, 6)

    training = go(Training(options, PICTURES, tmp_path / "other"), 5)  # an epoch has three steps
    score = training.network.score.weight.clone()
    go(training, 1)
    assert training.network.config.stride == 16
    assert not training.network.skips["pool4"].weight.any()
    assert torch.equal(training.network.score.weight, training.best["score.weight"])
    assert score.shape == training.best["score.weight"].shape


def test_at_once_there_is_one_stage():
    options = replace(SMALL, network=replace(NETWORK, stride=8, at_once=True))
    assert [network.stride for network in options.stages] == [8]
    assert [network.stride for network in SMALL.stages] == [32, 16]


def test_the_same_seed_gives_the_same_bits_and_another_gives_others(tmp_path):
    torch.manual_seed(1)
    first = train(SMALL, PICTURES, ignore, tmp_path / "first")
    torch.manual_seed(2)  # what others did to chance does not matter
    again = train(SMALL, PICTURES, ignore, tmp_path / "again")
    other = train(replace(SMALL, seed=1), PICTURES, ignore, tmp_path / "other")
    assert equal(first.network, again.network)
    assert first.history == again.history
    assert not equal(first.network, other.network)


@pytest.mark.parametrize(("optimiser", "averaging"), [("adamw", 0.0), ("sgd", 0.0), ("adamw", 0.9)])
@pytest.mark.parametrize("steps", [1, 3, 6, 8])  # an epoch has three, a stage six
def test_a_training_goes_on_from_any_step_as_if_it_had_not_stopped(
    tmp_path, steps, optimiser, averaging
):
    options = replace(SMALL, optimiser=optimiser, averaging=averaging, learning_rate=1e-3)
    first = go(Training(options, PICTURES, tmp_path / CHECKPOINT), steps)
    first.save()
    second = Training(options, PICTURES, tmp_path / CHECKPOINT)
    second.resume()
    assert second.describe() == first.describe()
    for training in (first, second):
        go(training, 12 - steps)
    assert equal(first.network, second.network)
    assert equal(first.finish().network, second.finish().network)
    assert first.history == second.history
    assert first.is_over()


def test_a_cancelled_training_can_be_taken_up_again(tmp_path):
    whole = train(SMALL, PICTURES, ignore, tmp_path / "whole")
    with pytest.raises(Stopped):
        train(SMALL, PICTURES, stop_at(9), tmp_path / "parts", report_every=0.0, save_every=0.0)
    resumed = train(SMALL, PICTURES, ignore, tmp_path / "parts")
    assert equal(whole.network, resumed.network)
    assert whole.history == resumed.history


def test_a_training_that_ended_is_not_done_again(tmp_path):
    first = train(SMALL, PICTURES, ignore, tmp_path)
    again = train(SMALL, PICTURES, stop_at(1), tmp_path)  # there is nothing to report
    assert equal(first.network, again.network)
    assert first.best == again.best


def test_a_checkpoint_of_other_options_pictures_or_encoder_is_refused(tmp_path):
    train(SMALL, PICTURES, ignore, tmp_path)
    encoder = make_network(NETWORK, seed=3).encoder.state_dict()
    for options, pictures, given in (
        (replace(SMALL, clip=1.0), PICTURES, None),
        (SMALL, make_pictures(12, seed=1), None),
        (SMALL, PICTURES, encoder),
    ):
        with pytest.raises(ValueError, match="other options or data"):
            train(options, pictures, ignore, tmp_path, encoder=given)


def test_a_checkpoint_holds_no_pickle_and_nothing_is_left_beside_it(tmp_path):
    train(SMALL, PICTURES, ignore, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [CHECKPOINT]
    tensors, about = read_tensors(tmp_path / CHECKPOINT)
    assert len(about["history"]) == 4
    groups = {name.split("/")[0] for name in tensors}
    assert groups > {"network", "average", "best", "sum", "optimiser.0"}


def test_a_network_starts_with_the_encoder_it_is_given(tmp_path):
    encoder = make_network(NETWORK, seed=3).encoder.state_dict()
    training = Training(SMALL, PICTURES, tmp_path / CHECKPOINT, encoder=encoder)
    started = training.network.encoder.state_dict()
    assert all(torch.equal(started[name], one) for name, one in encoder.items())
    plain = Training(SMALL, PICTURES, tmp_path / CHECKPOINT).network.encoder.state_dict()
    assert not torch.equal(started["stages.0.0.weight"], plain["stages.0.0.weight"])


def test_the_fixed_kernels_stay_bilinear(tmp_path):
    trained = train(SMALL, PICTURES, ignore, tmp_path)
    fresh = FCN(NETWORK)
    assert torch.equal(trained.network.whole.weight, fresh.whole.weight)
    assert torch.equal(trained.network.twice["pool4"].weight, fresh.twice["pool4"].weight)
    assert trained.network.score.weight.any()


def test_the_best_weights_are_kept(tmp_path):
    options = replace(SMALL, network=replace(NETWORK, stride=32), epochs=6, learning_rate=0.02)
    trained = train(options, PICTURES, ignore, tmp_path)
    _, held = split_parts(PICTURES, options)
    looks = [epoch.mean_iou for epoch in trained.history]
    assert looks[trained.best - 1] == max(looks)
    found = measure_network(trained.network, Pictures(held)).mean_iou
    assert found == pytest.approx(max(looks), abs=1e-9)


def test_a_loss_that_is_no_number_ends_the_training(tmp_path):
    options = replace(SMALL, learning_rate=1e30)
    with pytest.raises(Diverged, match="Lower `learning_rate`"):
        train(options, PICTURES, ignore, tmp_path)


@pytest.mark.parametrize(
    ("change", "advice"),
    [({}, r"rate`\.$"), ({"optimiser": "sgd"}, "adamw"), ({"summed": True}, "sum over pixels")],
    ids=["adamw", "sgd", "summed"],
)
def test_what_may_help_a_training_that_diverged_is_told(change, advice):
    assert re.search(advice, advise(replace(SMALL, **change)))


def test_the_sum_and_rare_classes_can_count_more(tmp_path):
    plain = go(Training(SMALL, PICTURES, tmp_path / CHECKPOINT), 1).describe().loss
    summed = replace(SMALL, summed=True)
    total = go(Training(summed, PICTURES, tmp_path / CHECKPOINT), 1).describe().loss
    assert plain == pytest.approx(1.0986, abs=1e-3)  # ln 3: all score 0
    assert 0.5 * 4 * 48 * 64 * plain < total <= 4 * 48 * 64 * plain + 1  # some are void
    balanced = Training(replace(SMALL, balanced=True), PICTURES, tmp_path / CHECKPOINT)
    assert balanced.weights[0] < 1 < balanced.weights[1]


@pytest.mark.parametrize(("summed", "cut"), [(False, True), (True, False)])
def test_long_gradients_are_cut_unless_they_are_sums(tmp_path, summed, cut):
    options = replace(SMALL, summed=summed, clip=1e-3)
    training = go(Training(options, PICTURES, tmp_path / CHECKPOINT), 1)
    longest = training.network.score.bias.grad.norm().item()
    assert (longest <= 1e-3) is cut


def test_parts_of_a_batch_have_its_gradients(tmp_path):
    """Without batch normalisation, which sees each part alone: of the last layer's bias."""
    biases = []
    for parts in (1, 2, 4):
        training = Training(replace(SMALL, parts=parts), PICTURES, tmp_path / CHECKPOINT)
        training.advance()
        biases.append(training.network.score.bias.grad)
    assert biases[0].abs().max() > 1e-3
    assert torch.allclose(biases[0], biases[1], atol=1e-6)
    assert torch.allclose(biases[0], biases[2], atol=1e-6)


def test_reports_tell_stage_epoch_and_share(tmp_path):
    reports: list[Progress] = []
    train(SMALL, PICTURES, reports.append, tmp_path, report_every=0.0)
    shares = [report.fraction for report in reports]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert [reports[0].stride, reports[-1].stride] == [32, 16]
    assert [reports[0].epoch, reports[-1].epoch, reports[-1].epochs] == [1, 4, 4]
    assert len(reports[-1].history) == 4


def test_the_rate_rises_and_falls_in_each_stage_and_later_ones_are_lower():
    rates = [schedule(step, 10, 0, replace(SMALL, epochs=4)) for step in range(40)]
    assert max(rates) == SMALL.learning_rate
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert schedule(9, 10, 2, SMALL) == pytest.approx(SMALL.learning_rate / 4)


def test_parts_of_the_data_are_what_they_are_called():
    data = replace(
        make_pictures(4, part="train"),
        pictures=tuple(
            one
            for number, part in enumerate(("train", "val", "test"))
            for one in make_pictures(2, number, part).pictures
        ),
    )
    learning, held = split_parts(data, SMALL)
    assert {one.part for one in learning.pictures} == {"train"}
    assert {one.part for one in held.pictures} == {"val"}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (replace(SMALL, network=replace(NETWORK, classes=4)), "has 3 classes, the network 4"),
        (replace(SMALL, validation=1.0), "held out of 12 pictures that all of them are"),
        (replace(SMALL, parts=5), "4 pictures of a batch cannot be 5 parts"),
    ],
)
def test_trainings_that_cannot_be_are_refused(tmp_path, options, reason):
    with pytest.raises(ValueError, match=reason):
        train(options, PICTURES, ignore, tmp_path)


@pytest.mark.parametrize("change", [{"epochs": 0}, {"batch": 0}, {"window": (0, 64)}])
def test_options_that_mean_nothing_are_refused(change):
    with pytest.raises(ValueError, match="must be 1 or more"):
        replace(SMALL, **change)
