"""Training a detector: repeatable, resumable, stopped in time, and it learns."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.workers.detect.coloured import make_pictures
from workers.detect.augment import Augmentation
from workers.detect.batches import Squares
from workers.detect.labelled import LabelledPictures
from workers.detect.suppression import Suppression
from workers.detect.train import Training, train
from workers.detect.train_options import Progress, TrainOptions
from workers.detect.validation import measure
from workers.detect.weights import make_network
from workers.detect.yolo import Yolo
from workers.detect.yolo_config import YoloConfig
from workers.runtime.checkpoints import CHECKPOINT, UnusableCheckpoint
from workers.runtime.tensors import read_tensors

NETWORK = YoloConfig("small", classes=2, side=64, grid=4)
SMALL = TrainOptions(NETWORK, epochs=4, batch=4, validation=0.25)
STILL = Augmentation(scale=0, shift=0, exposure=1, saturation=1, flip=0)
PICTURES = make_pictures(12)


def ignore(progress: Progress) -> None:
    """Nobody follows this training."""


def equal(left: Yolo, right: Yolo) -> bool:
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


def test_it_learns_eight_pictures_by_heart(tmp_path):
    pictures = make_pictures(8)
    options = TrainOptions(
        NETWORK, augmentation=STILL, epochs=60, batch=4, validation=0.0, learning_rate=4e-3
    )
    trained = train(options, pictures, ignore, tmp_path)
    squares = Squares(pictures.pictures, NETWORK.side, bordered=False)
    found = measure(trained.network, squares, pictures.names, Suppression(score_threshold=0.05))
    assert found.mean >= 0.95


def test_what_it_learned_holds_for_other_pictures(tmp_path):
    known, unseen = make_pictures(32), make_pictures(16, seed=1)
    options = TrainOptions(NETWORK, epochs=30, batch=8, validation=0.0, learning_rate=4e-3)
    squares = Squares(unseen.pictures, NETWORK.side, bordered=False)
    trained = train(options, known, ignore, tmp_path)
    found = measure(trained.network, squares, unseen.names, Suppression(score_threshold=0.05))
    assert found.mean >= 0.5  # 0.76 when written


def test_the_same_seed_gives_the_same_bits_and_another_gives_others(tmp_path):
    torch.manual_seed(1)
    first = train(SMALL, PICTURES, ignore, tmp_path / "first")
    torch.manual_seed(2)  # what others did to chance does not matter
    again = train(SMALL, PICTURES, ignore, tmp_path / "again")
    other = train(replace(SMALL, seed=1), PICTURES, ignore, tmp_path / "other")
    assert equal(first.network, again.network)
    assert first.history == again.history
    assert not equal(first.network, other.network)


def test_training_leaves_the_callers_chance_alone(tmp_path):
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    train(SMALL, PICTURES, ignore, tmp_path)
    assert torch.equal(torch.rand(3), expected)


def go(training: Training, steps: int) -> Training:
    for _ in range(steps):
        training.advance()
        if training.has_seen_all():
            training.end_epoch(lambda: None)
    return training


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
@pytest.mark.parametrize("steps", [1, 3, 4])  # an epoch has three
def test_a_training_goes_on_from_any_step_as_if_it_had_not_stopped(tmp_path, steps, optimiser):
    options = replace(SMALL, optimiser=optimiser, learning_rate=1e-3)
    first = go(Training(options, PICTURES, tmp_path / CHECKPOINT), steps)
    first.save()
    second = Training(options, PICTURES, tmp_path / CHECKPOINT)
    second.resume()
    assert second.describe() == first.describe()
    for training in (first, second):
        go(training, 6 - steps)
    assert equal(first.network, second.network)
    assert equal(first.average, second.average)
    assert equal(first.finish().network, second.finish().network)
    assert first.history == second.history


def test_a_cancelled_training_can_be_taken_up_again(tmp_path):
    whole = train(SMALL, PICTURES, ignore, tmp_path / "whole")
    with pytest.raises(Stopped):
        train(SMALL, PICTURES, stop_at(5), tmp_path / "parts", report_every=0.0, save_every=0.0)
    resumed = train(SMALL, PICTURES, ignore, tmp_path / "parts")
    assert equal(whole.network, resumed.network)
    assert whole.history == resumed.history


def test_a_training_that_ended_is_not_done_again(tmp_path):
    first = train(SMALL, PICTURES, ignore, tmp_path)
    again = train(SMALL, PICTURES, stop_at(1), tmp_path)  # there is nothing to report
    assert equal(first.network, again.network)
    assert first.best == again.best


def test_a_checkpoint_of_other_options_pictures_or_first_weights_is_refused(tmp_path):
    train(SMALL, PICTURES, ignore, tmp_path)
    with pytest.raises(ValueError, match="other options or data"):
        train(replace(SMALL, clip=1.0), PICTURES, ignore, tmp_path)
    with pytest.raises(ValueError, match="other options or data"):
        train(SMALL, make_pictures(12, seed=1), ignore, tmp_path)


@pytest.mark.parametrize(
    ("name", "other"), [("FORMAT", 0), ("version", str)], ids=["format", "version"]
)
def test_a_checkpoint_of_other_code_is_not_gone_on_from(tmp_path, monkeypatch, name, other):
    Training(SMALL, PICTURES, tmp_path / CHECKPOINT).save()
    monkeypatch.setattr(f"workers.detect.train.{name}", other)
    with pytest.raises(UnusableCheckpoint, match="other options or data"):
        Training(SMALL, PICTURES, tmp_path / CHECKPOINT).resume()


def test_a_checkpoint_holds_no_pickle_and_nothing_is_left_beside_it(tmp_path):
    train(SMALL, PICTURES, ignore, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [CHECKPOINT]
    tensors, about = read_tensors(tmp_path / CHECKPOINT)
    assert len(about["history"]) == SMALL.epochs
    groups = {name.split("/")[0] for name in tensors}
    assert groups > {"network", "average", "best", "sums", "optimiser.0"}


def test_a_damaged_checkpoint_is_named(tmp_path):
    (tmp_path / CHECKPOINT).write_bytes(b"half a file")
    with pytest.raises(ValueError, match=CHECKPOINT):
        train(SMALL, PICTURES, ignore, tmp_path)


def test_reports_rise_to_one_and_say_how_it_goes(tmp_path):
    reports: list[Progress] = []
    trained = train(SMALL, PICTURES, reports.append, tmp_path, report_every=0.0)
    fractions = [report.fraction for report in reports]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert [report.epoch for report in reports][-1] == SMALL.epochs
    assert reports[0].mean_average_precision is None
    last = reports[-1]
    assert last.history == trained.history
    assert last.mean_average_precision == trained.history[-1].mean_average_precision
    assert last.loss == pytest.approx(sum(last.terms.values()))
    assert list(last.terms) == ["centre", "size", "object", "no_object", "classes"]


def test_the_weights_of_the_best_look_are_kept(tmp_path):
    options = replace(SMALL, epochs=15, learning_rate=4e-3, augmentation=STILL)
    trained = train(options, PICTURES, ignore, tmp_path)
    looks = [epoch.mean_average_precision for epoch in trained.history]
    assert looks[trained.best - 1] == max(looks) > 0
    held = Training(options, PICTURES, tmp_path / "unused").held
    again = measure(trained.network, held, PICTURES.names, Suppression(score_threshold=0.05))
    assert again.mean == max(looks)


def test_it_looks_at_the_validation_pictures_as_often_as_told(tmp_path):
    trained = train(replace(SMALL, epochs=5, check_every=2), PICTURES, ignore, tmp_path)
    looked = [epoch.mean_average_precision is not None for epoch in trained.history]
    assert looked == [False, True, False, True, True]


def test_without_validation_the_last_weights_are_kept(tmp_path):
    trained = train(replace(SMALL, validation=0.0), PICTURES, ignore, tmp_path)
    assert trained.best == SMALL.epochs
    assert all(epoch.mean_average_precision is None for epoch in trained.history)


def test_the_answer_is_the_average_of_the_weights_on_the_way(tmp_path):
    training = Training(replace(SMALL, averaging=0.5), PICTURES, tmp_path / "unused")
    name = "head.0.weight"
    expected = training.network.state_dict()[name].clone()
    for step in range(3):
        training.advance()
        kept = min(0.5, (2 + step) / (11 + step))
        expected = kept * expected + (1 - kept) * training.network.state_dict()[name]
    assert torch.allclose(training.average.state_dict()[name], expected, atol=1e-6)
    counted = "trunk.0.norm.num_batches_tracked"  # a whole number has no average
    assert training.average.state_dict()[counted] == 3


def test_the_gradient_is_cut_to_a_length(tmp_path):
    training = Training(replace(SMALL, clip=0.01), PICTURES, tmp_path / "unused")
    training.advance()
    lengths = [weights.grad.norm().item() for weights in training.network.parameters()]
    assert np.linalg.norm(lengths) == pytest.approx(0.01, rel=1e-3)


def test_biases_and_norms_do_not_decay(tmp_path):
    options = replace(
        SMALL, optimiser="sgd", weight_decay=0.5, learning_rate=1e-2, warm_up=0.0, clip=1e-9
    )
    training = Training(options, PICTURES, tmp_path / "unused")
    before = {name: one.clone() for name, one in training.network.named_parameters()}
    training.advance()
    for name, weights in training.network.named_parameters():
        factor = 1 - 0.5 * 1e-2 if weights.dim() > 1 else 1
        assert torch.allclose(weights, factor * before[name], atol=1e-6), name


def test_parts_of_a_batch_give_the_gradients_of_the_whole(tmp_path):
    # without batch normalisation, which sees a part alone, and the dropout of the layers behind
    network = YoloConfig("fast-yolo", classes=2, side=64, grid=1)
    gradients = []
    for parts in (1, 3):
        options = replace(SMALL, network=network, parts=parts, optimiser="sgd")
        training = Training(options, PICTURES, tmp_path / "unused")
        training.network.head[4].p = 0.0
        training.advance()
        gradients.append([weights.grad for weights in training.network.parameters()])
    for whole, summed in zip(*gradients, strict=True):
        assert whole.abs().max() > 1e-3
        assert torch.allclose(whole, summed, atol=1e-4, rtol=1e-3)


def learn_elsewhere(seed: int) -> dict[str, torch.Tensor]:
    """A trunk for SMALL."""
    options = replace(SMALL, seed=seed)
    return make_network(options, trunk=None).trunk.state_dict()


def test_it_starts_with_a_trunk_that_was_learned_elsewhere(tmp_path):
    learned = learn_elsewhere(seed=7)
    training = Training(SMALL, PICTURES, tmp_path / "unused", trunk=learned)
    for network in (training.network, training.average):
        begun = network.trunk.state_dict()
        assert all(torch.equal(begun[name], weights) for name, weights in learned.items())
    head = make_network(SMALL, trunk=None).head.state_dict()
    own = training.network.head.state_dict()
    assert all(torch.equal(own[name], weights) for name, weights in head.items())
    other = learn_elsewhere(seed=7) | {"0.conv.weight": torch.zeros(8, 3, 3, 3)}
    with pytest.raises(ValueError, match="other layers than the detector's"):
        Training(SMALL, PICTURES, tmp_path / "unused", trunk=other)


def test_a_training_that_started_with_a_trunk_goes_on_with_the_same_one_alone(tmp_path):
    learned = learn_elsewhere(seed=7)
    whole = train(SMALL, PICTURES, ignore, tmp_path / "whole", trunk=learned)
    with pytest.raises(Stopped):
        train(SMALL, PICTURES, stop_at(3), tmp_path / "cut", trunk=learned, save_every=0.0)
    for other in (None, learn_elsewhere(seed=8)):
        with pytest.raises(UnusableCheckpoint, match="other options or data"):
            train(SMALL, PICTURES, ignore, tmp_path / "cut", trunk=other)
    resumed = train(SMALL, PICTURES, ignore, tmp_path / "cut", trunk=learned)
    assert equal(whole.network, resumed.network)


def test_what_cannot_be_trained_on_is_refused(tmp_path):
    with pytest.raises(ValueError, match="3 classes, the network 2"):
        train(SMALL, replace(PICTURES, names=("a", "b", "c")), ignore, tmp_path)
    with pytest.raises(ValueError, match="no object to learn"):
        train(SMALL, LabelledPictures(PICTURES.names, ()), ignore, tmp_path)
    with pytest.raises(ValueError, match="4 pictures of a batch cannot be 5 parts"):
        train(replace(SMALL, parts=5), PICTURES, ignore, tmp_path)
    with pytest.raises(ValueError, match="1 or more"):
        replace(SMALL, epochs=0)
