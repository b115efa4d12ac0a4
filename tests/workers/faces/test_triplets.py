"""Triplets and their losses against their definitions and two other libraries."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.losses import ContrastiveLoss, TripletMarginLoss
from pytorch_metric_learning.reducers import MeanReducer
from torch import Tensor, nn
from torch.nn import functional as F

from workers.faces.triplets import (
    contrastive_losses,
    make_triplets,
    mine_triplets,
    triplet_losses,
)

MARGIN = 0.2


def make_points(count: int, seed: int = 0) -> Tensor:
    """(count, 8) in double precision, unit length."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(count, 8, generator=generator, dtype=torch.float64)
    return F.normalize(points)


def measure_triplets(points: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Squared distances to the positives and to the negatives, (T,) each."""
    anchor, positive, negative = (points[column] for column in rows.T)
    return (anchor - positive).square().sum(1), (anchor - negative).square().sum(1)


def mine(points: Tensor, labels: Tensor, mining: str) -> Tensor:
    return mine_triplets(points, labels, mining, MARGIN, torch.Generator().manual_seed(0))


@given(st.lists(st.integers(0, 4), max_size=20), st.integers(0, 1000))
def test_a_random_triplet_has_two_faces_of_one_person_and_one_of_another(people, seed):
    labels = torch.tensor(people, dtype=torch.int64)
    rows = make_triplets(labels, torch.Generator().manual_seed(seed))
    anchor, positive, negative = rows.T
    assert torch.all(labels[anchor] == labels[positive])
    assert torch.all(anchor != positive)
    assert torch.all(labels[anchor] != labels[negative])
    usable = [i for i, who in enumerate(people) if people.count(who) > 1 and len(set(people)) > 1]
    assert anchor.tolist() == usable


def test_random_triplets_reach_every_positive_and_negative():
    labels = torch.tensor([0, 0, 0, 1, 1])
    generator = torch.Generator().manual_seed(0)
    rows = torch.cat([make_triplets(labels, generator) for _ in range(200)])
    mine = rows[rows[:, 0] == 0]
    assert set(mine[:, 1].tolist()) == {1, 2}
    assert set(mine[:, 2].tolist()) == {3, 4}


def test_batch_hard_takes_the_farthest_positive_and_the_nearest_negative():
    points, labels = make_points(12), torch.arange(12) % 3
    rows = mine(points, labels, "batch-hard")
    assert sorted(rows[:, 0].tolist()) == list(range(12))
    squared = torch.cdist(points, points).square()
    same = labels[:, None] == labels
    near, far = measure_triplets(points, rows)
    anchors = rows[:, 0]
    assert torch.allclose(near, torch.where(same, squared, -1.0).amax(1)[anchors])
    assert torch.allclose(far, torch.where(same, 9.0, squared).amin(1)[anchors])


def test_semi_hard_takes_all_negatives_beyond_the_positive_but_within_the_margin():
    points, labels = make_points(12), torch.arange(12) % 3
    found = {tuple(row) for row in mine(points, labels, "semi-hard").tolist()}
    squared = torch.cdist(points, points).square()
    expected = {
        (a, p, n)
        for a in range(12)
        for p in range(12)
        for n in range(12)
        if a != p and labels[a] == labels[p] and labels[a] != labels[n]
        if squared[a, p] < squared[a, n] <= squared[a, p] + MARGIN
    }
    assert expected
    assert found == expected


@pytest.mark.parametrize("mining", ["random", "semi-hard", "batch-hard"])
def test_one_person_alone_gives_no_triplets(mining):
    assert len(mine(make_points(4), torch.zeros(4, dtype=torch.int64), mining)) == 0


def test_the_triplet_loss_follows_the_equation():
    anchor, positive = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])  # d = 2
    negative = torch.tensor([[-1.0, 0.0]])  # d = 4
    assert triplet_losses(anchor, positive, negative, 0.2).tolist() == [0.0]
    assert triplet_losses(anchor, negative, positive, 0.2).tolist() == pytest.approx([2.2])
    assert triplet_losses(anchor, anchor, anchor, 0.2).tolist() == pytest.approx([0.2])


def test_the_triplet_loss_equals_pytorch_metric_learnings():
    points, labels = make_points(16), torch.arange(16) % 4
    rows = mine(points, labels, "batch-hard")
    theirs = TripletMarginLoss(
        MARGIN,
        distance=LpDistance(normalize_embeddings=False, power=2),
        reducer=MeanReducer(),
    )
    ours = triplet_losses(*(points[column] for column in rows.T), MARGIN).mean()
    assert ours > 0
    assert torch.allclose(ours, theirs(points, labels, tuple(rows.T)))


def test_the_triplet_loss_equals_torchs_once_it_squares_its_distance():
    anchor, positive, negative = make_points(30).chunk(3)
    theirs = nn.TripletMarginWithDistanceLoss(
        distance_function=lambda a, b: (a - b).square().sum(1), margin=MARGIN, reduction="none"
    )
    ours = triplet_losses(anchor, positive, negative, MARGIN)
    assert (ours > 0).any()
    assert (ours == 0).any()
    assert torch.allclose(ours, theirs(anchor, positive, negative))


def test_the_contrastive_loss_equals_pytorch_metric_learnings():
    points, labels = make_points(16), torch.arange(16) % 4
    theirs = ContrastiveLoss(
        pos_margin=0,
        neg_margin=1.5,
        distance=LpDistance(normalize_embeddings=False),
        reducer=MeanReducer(),
    )
    left, right = torch.triu_indices(16, 16, offset=1)
    same = labels[left] == labels[right]
    losses = contrastive_losses(points, labels, 1.5)
    # theirs squares neither, and averages the two kinds apart
    assert torch.allclose(
        losses[same].sqrt().mean() + losses[~same].sqrt().mean(), theirs(points, labels)
    )


def test_gradients_are_those_of_finite_differences():
    anchor, positive, negative = (part.requires_grad_() for part in make_points(18).chunk(3))
    losses = triplet_losses(anchor, positive, negative, MARGIN)
    kinks = (anchor - positive).square().sum(1) - (anchor - negative).square().sum(1) + MARGIN
    assert kinks.abs().min() > 1e-3
    assert (losses > 0).any()
    assert torch.autograd.gradcheck(
        lambda a, p, n: triplet_losses(a, p, n, MARGIN), (anchor, positive, negative)
    )
    points, labels = make_points(8).requires_grad_(), torch.arange(8) % 2
    assert torch.autograd.gradcheck(lambda x: contrastive_losses(x, labels, 1.5), (points,))


def test_two_equal_faces_have_a_finite_slope():
    points = torch.ones(2, 3, requires_grad=True)
    contrastive_losses(points, torch.tensor([0, 1]), 1.0).sum().backward()
    assert points.grad.isfinite().all()
