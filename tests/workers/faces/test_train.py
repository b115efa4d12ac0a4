"""Training: repeatable, resumable, and it learns."""

import itertools
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from workers.faces.batches import augment, draw_batch, make_augmentation
from workers.faces.evaluate import measure, score_pairs
from workers.faces.folders import FaceFolders
from workers.faces.siamese import Architecture, SiameseNet, to_faces
from workers.faces.train import (
    CPU,
    Progress,
    Training,
    TrainOptions,
    schedule,
    split_people,
    take_share,
    train,
)
from workers.runtime.checkpoints import CHECKPOINT
from workers.runtime.tensors import read_tensors

SMALL = TrainOptions(
    architecture=Architecture(side=16, width=8, dimensions=16),
    people=4,
    steps=12,
    warm_up=3,
    check_every=4,
    report_every=2,
    validation=0.25,
)


def make_people(count: int, pictures: int = 6, side: int = 16, seed: int = 0) -> FaceFolders:
    """People who are smooth patterns; each picture has its own light, place and noise."""
    chance = np.random.default_rng(seed)
    chips, labels = [], []
    for person in range(count):
        face = np.kron(chance.uniform(0, 1, (4, 4)), np.ones((side // 4, side // 4)))
        for _ in range(pictures):
            moved = np.roll(face, chance.integers(-1, 2, 2), (0, 1))
            lit = moved * chance.uniform(0.5, 1) + chance.normal(0, 0.05, (side, side))
            chips.append(np.repeat((lit.clip(0, 1) * 255).astype(np.uint8)[..., None], 3, axis=2))
            labels.append(person)
    names = tuple(f"person{person:02}" for person in range(count))
    return FaceFolders(names, np.stack(chips), np.array(labels))


PEOPLE = make_people(8)


def ignore(progress: Progress) -> None:
    """Nobody follows this training."""


def equal(left: SiameseNet, right: SiameseNet) -> bool:
    """Whether two networks have the same bits."""
    pairs = zip(left.state_dict().values(), right.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


class Stopped(Exception):
    """Somebody cancelled the job."""


def stop_at(step: int):
    def report(progress: Progress) -> None:
        if progress.step >= step:
            raise Stopped

    return report


def test_the_same_seed_gives_the_same_bits_and_another_gives_others(tmp_path):
    torch.manual_seed(1)
    first = train(SMALL, PEOPLE, ignore, tmp_path / "first")
    torch.manual_seed(2)  # what others did to chance does not matter
    again = train(SMALL, PEOPLE, ignore, tmp_path / "again")
    other = train(replace(SMALL, seed=1), PEOPLE, ignore, tmp_path / "other")
    assert equal(first.network, again.network)
    assert first.curve == again.curve
    assert not equal(first.network, other.network)


def test_training_leaves_the_callers_chance_alone(tmp_path):
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    train(SMALL, PEOPLE, ignore, tmp_path)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("step", [2, 6, 8, 12])
@pytest.mark.parametrize("validation", [0.0, 0.25])
def test_a_stopped_training_goes_on_as_if_it_had_not_stopped(tmp_path, step, validation):
    options = replace(SMALL, validation=validation)
    whole = train(options, PEOPLE, ignore, tmp_path / "whole")
    with pytest.raises(Stopped):
        train(options, PEOPLE, stop_at(step), tmp_path / "parts")
    steps: list[int] = []
    resumed = train(options, PEOPLE, lambda now: steps.append(now.step), tmp_path / "parts")
    saved = step // SMALL.check_every * SMALL.check_every
    assert steps == list(range(saved + 2, 13, 2))
    assert equal(whole.network, resumed.network)
    assert whole.curve == resumed.curve
    assert whole.metrics == resumed.metrics


def test_a_checkpoint_of_other_options_or_faces_is_refused(tmp_path):
    train(SMALL, PEOPLE, ignore, tmp_path)
    with pytest.raises(ValueError, match="other options or data"):
        train(replace(SMALL, margin=0.3), PEOPLE, ignore, tmp_path)
    with pytest.raises(ValueError, match="other options or data"):
        train(SMALL, make_people(8, seed=1), ignore, tmp_path)


def test_a_checkpoint_holds_no_pickle_and_nothing_is_left_beside_it(tmp_path):
    train(SMALL, PEOPLE, ignore, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [CHECKPOINT]
    tensors, about = read_tensors(tmp_path / CHECKPOINT)
    assert len(about["curve"]) == SMALL.steps
    assert {name.split("/")[0] for name in tensors} > {"network", "best", "optimiser.0"}


def test_a_damaged_checkpoint_is_named(tmp_path):
    (tmp_path / CHECKPOINT).write_bytes(b"half a file")
    with pytest.raises(ValueError, match=CHECKPOINT):
        train(SMALL, PEOPLE, ignore, tmp_path)


def test_reports_rise_to_one_and_say_how_it_goes(tmp_path):
    reports: list[Progress] = []
    trained = train(SMALL, PEOPLE, reports.append, tmp_path)
    assert [report.step for report in reports] == [2, 4, 6, 8, 10, 12]
    assert [report.fraction for report in reports] == pytest.approx(np.arange(1, 7) / 6)
    assert reports[0].validation_eer is None
    assert 0 <= reports[-1].validation_eer <= 1
    assert all(0 <= report.active <= 1 for report in reports)
    assert reports[1].loss == pytest.approx(np.mean(trained.curve[2:4]))


def test_it_stops_when_the_validation_people_are_no_longer_told_apart_better(tmp_path):
    options = replace(SMALL, steps=200, check_every=1, patience=2, learning_rate=0.0)
    trained = train(options, PEOPLE, ignore, tmp_path)
    assert len(trained.curve) == 3  # the first look is the best, and two more are no better


@pytest.mark.parametrize("mining", ["random", "semi-hard", "batch-hard"])
def test_training_tells_strangers_apart_better_than_an_untrained_network(tmp_path, mining):
    strangers = make_people(6, seed=9)
    options = replace(SMALL, mining=mining, steps=40, warm_up=10, people=8, validation=0.0)
    trained = train(options, make_people(16), ignore, tmp_path)

    def error(network: SiameseNet) -> float:
        points = network.encode(to_faces(strangers.chips, 1))
        return measure(*score_pairs(points, strangers.labels))["eer"]

    torch.manual_seed(0)
    assert error(trained.network) < error(SiameseNet(options.architecture).eval()) - 0.05


def test_the_contrastive_loss_falls(tmp_path):
    options = replace(SMALL, loss="contrastive", margin=1.0, steps=30, validation=0.0)
    curve = train(options, PEOPLE, ignore, tmp_path).curve
    assert np.mean(curve[-5:]) < 0.7 * np.mean(curve[:5])


def test_nobody_is_learned_from_and_validated_on():
    learning, validation = split_people(make_people(12), SMALL)
    assert set(learning.names).isdisjoint(validation.names)
    assert len(validation.names) == 3
    assert sorted(learning.names + validation.names) == list(make_people(12).names)


def test_too_few_people_are_refused(tmp_path):
    with pytest.raises(ValueError, match="too few"):
        train(SMALL, make_people(1), ignore, tmp_path)
    two = train(SMALL, make_people(2), ignore, tmp_path)  # none can be spared for validation
    assert "validation_eer" not in two.metrics


def test_the_learning_rate_rises_in_a_line_and_falls_to_nothing():
    rates = [schedule(step, SMALL) for step in range(SMALL.steps + 1)]
    assert rates[:3] == pytest.approx([1 / 3, 2 / 3, 1])
    assert all(a >= b for a, b in itertools.pairwise(rates[3:]))
    assert rates[-1] == pytest.approx(0)


def test_a_batch_has_k_pictures_of_each_of_p_people():
    labels = torch.tensor([0] * 5 + [1] * 2 + [2] * 9 + [3] * 4)
    rows = draw_batch(labels, 3, 4, torch.Generator().manual_seed(0))
    people, counts = labels[rows].unique(return_counts=True)
    assert len(people) == 3
    assert counts.tolist() == [4, 4, 4]
    everyone = draw_batch(labels, 10, 4, torch.Generator().manual_seed(0))
    few = everyone[labels[everyone] == 1]
    assert sorted(few.tolist()) == [5, 5, 6, 6]  # only two pictures: each of them twice
    many = everyone[labels[everyone] == 2]
    assert len(set(many.tolist())) == 4


def test_what_happens_to_a_face_depends_on_its_seed_alone():
    faces, seeds = torch.rand(4, 1, 16, 16), torch.tensor([3, 1, 4, 1])
    change = make_augmentation(16)
    together = augment(faces, seeds, change)
    assert together.shape == faces.shape
    assert torch.equal(together[2:], augment(faces[2:], seeds[2:], change))
    assert not torch.equal(together, augment(faces, seeds + 1, change))


def test_augmentation_paints_no_border():
    white = torch.ones(20, 1, 16, 16)
    changed = augment(white, torch.arange(20), make_augmentation(16))
    assert torch.all((changed.amax((1, 2, 3)) - changed.amin((1, 2, 3))) < 1e-5)


def test_processes_share_a_batch_without_rest():
    rows = list(range(12))
    assert [row for rank in range(3) for row in rows[take_share(12, rank, 3)]] == rows
    with pytest.raises(ValueError, match="5 processes cannot share a batch of 12"):
        take_share(12, 0, 5)


HALF = """
import sys
from pathlib import Path
import torch
from torch import distributed
from tests.workers.faces.test_train import start
from workers.runtime.tensors import write_tensors

torch.set_num_threads(1)
folder, rank = Path(sys.argv[1]), int(sys.argv[2])
distributed.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=2)
write_tensors(folder / str(rank), start(), {})
distributed.destroy_process_group()
"""


def start() -> dict[str, torch.Tensor]:
    """The gradients of a first step on batch-hard triplets."""
    options = replace(SMALL, warm_up=0)
    training = Training(options, PEOPLE, Path("unused"), CPU)
    training.advance()
    return {name: weights.grad for name, weights in training.network.named_parameters()}


def test_two_processes_have_the_gradients_of_one(tmp_path):
    root = Path(__file__).parents[3]
    halves = [
        subprocess.Popen([sys.executable, "-c", HALF, str(tmp_path), str(rank)], cwd=root)
        for rank in range(2)
    ]
    assert [half.wait(200) for half in halves] == [0, 0]
    expected = start()
    for rank in range(2):
        found, _ = read_tensors(tmp_path / str(rank))
        for name, gradient in expected.items():
            assert gradient.abs().max() > 1e-4
            assert torch.allclose(found[name], gradient, atol=1e-6, rtol=1e-3), name
