"""Training: what is learned, when it stops, and that a stop in between changes nothing."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.workers.text.lessons import SMALL, make_classifier, make_language
from workers.runtime.checkpoints import CHECKPOINT, UnusableCheckpoint
from workers.runtime.tensors import read_tensors
from workers.text.evaluate import check_learned, measure
from workers.text.lessons import Lesson
from workers.text.train import (
    Diverged,
    Progress,
    Trained,
    Training,
    copy_weights,
    train,
)

CPU = torch.device("cpu")


class Killed(Exception):
    """The process ends here."""


def ignore(progress: Progress) -> None:
    """Nobody follows."""


def train_fully(lesson: Lesson, folder: Path) -> Trained:
    return train(lesson, ignore, folder)


def train_in_pieces(lesson: Lesson, folder: Path, batches: int) -> Trained:
    """With a checkpoint, and a new process, after so many batches again and again."""
    while True:
        training = Training(lesson, folder / CHECKPOINT, CPU)
        training.resume()
        for _ in range(batches):
            if training.is_over():
                return training.finish()
            batch = next(training.draw(), None)
            if batch is None:
                training.check(lambda: None)
            else:
                training.advance(batch)
        training.save()


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("batches", ["sequential", "random"])
def test_a_small_text_is_learned(cell: Any, batches: Any, tmp_path: Path):
    lesson = make_language(
        shape=replace(SMALL, cell=cell), batches=batches, epochs=25, learning_rate=2e-2
    )
    trained = train_fully(lesson, tmp_path)
    metrics = measure(lesson, trained, CPU)
    check_learned("language", metrics)
    assert metrics["held_out_perplexity"] < 1.6
    assert trained.losses[-1] < trained.losses[0]


def test_classes_that_a_word_gives_away_are_learned(tmp_path: Path):
    for bidirectional in (False, True):
        lesson = make_classifier(shape=replace(SMALL, embedding=8, bidirectional=bidirectional))
        metrics = measure(lesson, train_fully(lesson, tmp_path / str(bidirectional)), CPU)
        assert metrics["held_out_accuracy"] == metrics["held_out_macro_f1"] == 1.0
        assert metrics["held_out_majority"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    "make",
    [
        lambda: make_language(shape=replace(SMALL, layers=2, dropout=0.3)),
        lambda: make_language(shape=replace(SMALL, cell="gru", embedding=24, tied=True)),
        lambda: make_language(batches="random", optimiser="sgd", learning_rate=0.5),
        lambda: make_classifier(shape=replace(SMALL, embedding=8, dropout=0.2), epochs=2),
    ],
)
def test_a_resumed_training_gives_the_same_bits(make, tmp_path: Path):
    whole = train_fully(make(), tmp_path / "whole")
    pieces = train_in_pieces(make(), tmp_path / "pieces", batches=7)
    assert (whole.losses, whole.held_out) == (pieces.losses, pieces.held_out)
    wanted, found = whole.network.state_dict(), pieces.network.state_dict()
    assert wanted.keys() == found.keys()
    assert all(torch.equal(wanted[name], found[name]) for name in wanted)


def test_a_killed_training_goes_on_within_its_epoch(tmp_path: Path):
    def die(progress: Progress) -> None:
        if progress.ended:
            raise Killed

    with pytest.raises(Killed):
        train(make_language(), die, tmp_path, save_every=0.0)
    _, about = read_tensors(tmp_path / CHECKPOINT)
    assert (about["losses"], about["place"] > 0) == ([], True)
    whole = train_fully(make_language(), tmp_path / "whole")
    assert train(make_language(), ignore, tmp_path).losses == whole.losses


def test_a_checkpoint_of_another_corpus_is_refused(tmp_path: Path):
    train(make_language(), ignore, tmp_path, save_every=0.0)
    for other in (make_language(seed=1), make_language(text="what else is there to say? " * 40)):
        with pytest.raises(UnusableCheckpoint, match="other options or data"):
            train(other, ignore, tmp_path)
    (tmp_path / CHECKPOINT).write_bytes(b"cut off")
    with pytest.raises(UnusableCheckpoint, match="damaged"):
        train(make_language(), ignore, tmp_path)


def test_it_stops_when_the_held_out_loss_does_not_fall_and_keeps_the_best_weights(tmp_path: Path):
    text = "abcdefgh" * 100 + "hgfedcba" * 20  # what is held out goes the other way
    lesson = make_language(text, held_out=0.16, epochs=50, patience=2)
    trained = train_fully(lesson, tmp_path)
    assert trained.stopped_early
    assert len(trained.losses) == trained.best + 2
    assert trained.held_out[trained.best - 1] == min(trained.held_out)
    again = lesson.check(trained.network, lambda: None)
    assert again == pytest.approx(min(trained.held_out))


def test_of_epochs_that_are_as_good_the_weights_of_the_first_are_kept(tmp_path: Path, monkeypatch):
    lesson = make_language()
    training = Training(lesson, tmp_path / CHECKPOINT, CPU)
    monkeypatch.setattr(lesson, "check", lambda *_: 1.5)
    training.advance(next(training.draw()))
    training.check(lambda: None)
    first = copy_weights(training.network)
    training.advance(next(training.draw()))
    training.check(lambda: None)
    trained = training.finish()
    assert trained.best == 1
    kept = copy_weights(trained.network)
    assert all(torch.equal(kept[name], first[name]) for name in first)


def test_what_was_learned_is_measured_by_the_weights_that_are_kept(tmp_path: Path):
    for lesson in (
        make_language(shape=replace(SMALL, dropout=0.5)),
        make_classifier(shape=replace(SMALL, dropout=0.5), epochs=4),
    ):
        trained = train_fully(lesson, tmp_path / type(lesson).__name__)
        metrics = measure(lesson, trained, CPU)
        # Without dropout, and after the last step of the epoch.
        assert metrics["loss"] < trained.losses[trained.best - 1]
        again = replace(lesson.corpus, held_out=lesson.corpus.learning)
        same = measure(replace(lesson, corpus=again), trained, CPU)
        assert same["held_out_loss"] == pytest.approx(metrics["loss"], rel=1e-6)


def test_measuring_can_be_stopped(tmp_path: Path):
    def stop() -> None:
        raise Killed

    for lesson in (make_language(), make_classifier(epochs=1)):
        trained = train_fully(lesson, tmp_path / type(lesson).__name__)
        with pytest.raises(Killed):
            measure(lesson, trained, CPU, stop)


def test_the_rate_falls_after_epochs_that_are_no_better(tmp_path: Path):
    training = Training(make_language(decay=0.5), tmp_path / CHECKPOINT, CPU)
    training.held_out = [2.0, 2.5, 1.5, 1.5]
    training.advance(next(training.draw()))
    assert training.optimiser.param_groups[0]["lr"] == pytest.approx(1e-2 * 0.5**2)


def test_a_loss_that_is_no_number_ends_the_training(tmp_path: Path):
    lesson = make_language(optimiser="sgd", learning_rate=3e38, clip=1e30)
    with pytest.raises(Diverged, match="Lower the learning rate"):
        train(lesson, ignore, tmp_path)
    assert not (tmp_path / CHECKPOINT).exists()


def test_a_gradient_is_shortened_to_the_longest_allowed(tmp_path: Path):
    """The step of plain gradient descent at a rate of 1 is as long as the gradient."""
    lengths = {}
    for clip in (1e-3, 1e6):
        lesson = make_language(optimiser="sgd", learning_rate=1.0, clip=clip)
        training = Training(lesson, tmp_path / CHECKPOINT, CPU)
        before = torch.cat([p.detach().flatten() for p in training.network.parameters()])
        training.advance(next(training.draw()))
        after = torch.cat([p.detach().flatten() for p in training.network.parameters()])
        lengths[clip] = (after - before).norm().item()
    assert lengths[1e-3] == pytest.approx(1e-3, rel=0.01)
    assert 0.01 < lengths[1e6] < 1e6


def test_without_a_held_out_part_the_last_weights_are_kept(tmp_path: Path):
    trained = train_fully(make_language(held_out=0.0), tmp_path)
    assert (trained.held_out, trained.best, trained.stopped_early) == ([], 3, False)


def test_progress_goes_up_to_one(tmp_path: Path):
    seen: list[Progress] = []
    train(make_language(), seen.append, tmp_path)
    assert [progress.epoch for progress in seen if progress.ended] == [1, 2, 3]
    assert [progress.fraction for progress in seen] == sorted(p.fraction for p in seen)
    assert seen[-1].fraction == 1.0
    assert len(seen[-1].held_out) == 3
