"""How a training ends before its last epoch: it learns no more, it diverges, or it is stopped."""

import math
from dataclasses import replace

import numpy as np
import pytest

from tests.workers.detect.coloured import make_pictures
from workers.detect.augment import Augmentation
from workers.detect.train import Training, train
from workers.detect.train_options import (
    TERMS,
    Diverged,
    Epoch,
    Progress,
    TrainOptions,
    check_growth,
    count_waited,
    list_looks,
)
from workers.detect.yolo_config import YoloConfig
from workers.runtime.run import Cancelled

NETWORK = YoloConfig("small", classes=2, side=64, grid=4)
SMALL = TrainOptions(NETWORK, epochs=4, batch=4, validation=0.25)
STILL = Augmentation(scale=0, shift=0, exposure=1, saturation=1, flip=0)
PICTURES = make_pictures(12)


def ignore(progress: Progress) -> None:
    """Nobody follows this training."""


def test_it_stops_when_it_finds_no_more(tmp_path):
    options = replace(SMALL, epochs=200, patience=2, learning_rate=4e-3, augmentation=STILL)
    trained = train(options, PICTURES, ignore, tmp_path)
    looks = list_looks(trained.history)
    assert trained.stopped_early
    assert len(looks) - 1 - np.argmax(looks) == 2


def test_it_does_not_stop_before_it_finds_anything(tmp_path):
    options = replace(SMALL, patience=1, learning_rate=0.0)
    trained = train(options, PICTURES, ignore, tmp_path)
    assert list_looks(trained.history) == [0] * SMALL.epochs
    assert not trained.stopped_early


@pytest.mark.parametrize(
    ("looks", "waited"),
    [([], 0), ([0, 0, 0], 0), ([0, 0.2], 0), ([0, 0.2, 0.1, 0.2], 2), ([0.3, 0, 0], 2)],
    ids=str,
)
def test_patience_counts_from_the_best_look_on_that_found_anything(looks, waited):
    assert count_waited(looks) == waited


def test_a_loss_that_is_no_number_ends_it_and_leaves_no_checkpoint(tmp_path):
    options = replace(SMALL, optimiser="sgd", learning_rate=1e30, warm_up=0.0, clip=1e30)
    with pytest.raises(Diverged, match="learning rate"):
        train(options, PICTURES, ignore, tmp_path, report_every=math.inf, save_every=math.inf)
    assert not list(tmp_path.iterdir())


def run_epoch(training: Training) -> None:
    while not training.has_seen_all():
        training.advance()
    training.end_epoch(lambda: None)


def test_a_loss_that_explodes_ends_it_before_it_is_no_number(tmp_path):
    training = Training(replace(SMALL, validation=0.0), PICTURES, tmp_path / "unused")
    run_epoch(training)
    training.history[0] = Epoch(dict.fromkeys(TERMS, 1e-6))
    with pytest.raises(Diverged, match=r"grew from 5e-06 to .* Lower the learning rate"):
        run_epoch(training)


def test_a_loss_may_grow_for_a_while():
    terms = dict.fromkeys(TERMS, 1.0)
    check_growth(terms, [])
    check_growth(terms, [Epoch({"object": 0.005}), Epoch({"object": 1e-9})])
    with pytest.raises(Diverged):
        check_growth(terms, [Epoch({"object": 0.0049}), Epoch({"object": 4.0})])


def test_an_average_of_weights_that_is_no_number_is_not_kept(tmp_path):
    training = Training(replace(SMALL, validation=0.0), PICTURES, tmp_path / "unused")
    training.average.state_dict()["head.0.weight"][0] = math.inf
    with pytest.raises(Diverged, match="weights are no numbers"):
        run_epoch(training)


def test_it_can_be_stopped_between_the_parts_of_a_batch(tmp_path):
    training = Training(replace(SMALL, parts=4), PICTURES, tmp_path / "unused")
    watched: list[int] = []
    training.advance(lambda: watched.append(training.step))
    assert watched == [0, 0, 0]

    def stop() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        training.advance(stop)
    assert training.step == 1


def test_it_can_be_stopped_while_pictures_are_prepared(tmp_path):
    seen: list[tuple[int, int]] = []
    Training(SMALL, PICTURES, tmp_path / "unused", watch=lambda *place: seen.append(place))
    assert seen == [*((place, 9) for place in range(9)), *((place, 3) for place in range(3))]
