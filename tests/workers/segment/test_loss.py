"""The loss: void is left out, classes are weighed, and it is a sum as well as a mean."""

import math

import pytest
import torch
from torch.nn import functional as F

from workers.segment.loss import balance, segmentation_loss
from workers.segment.metrics import VOID


@pytest.fixture
def scores() -> torch.Tensor:
    chance = torch.Generator().manual_seed(0)
    return torch.randn(2, 3, 4, 5, generator=chance, requires_grad=True)


@pytest.fixture
def truth() -> torch.Tensor:
    classes = torch.randint(0, 3, (2, 4, 5), generator=torch.Generator().manual_seed(1))
    classes[0, :2] = VOID
    return classes


@pytest.mark.parametrize("weights", [None, torch.tensor([1.0, 2.5, 0.3])])
def test_the_mean_is_torchs(scores, truth, weights):
    ours = segmentation_loss(scores, truth, weights).mean
    assert ours.item() == pytest.approx(
        F.cross_entropy(scores, truth, weights, ignore_index=VOID).item(), rel=1e-6
    )


def test_the_total_of_a_network_that_knows_nothing_is_the_logarithm_for_each_pixel(truth):
    loss = segmentation_loss(torch.zeros(2, 3, 4, 5), truth)
    assert loss.weight.item() == 30
    assert loss.total.item() == pytest.approx(30 * math.log(3), rel=1e-6)


def test_void_teaches_nothing(scores, truth):
    segmentation_loss(scores, truth).mean.backward()
    assert not scores.grad[0, :, :2].any()
    assert scores.grad[0, :, 2:].all()


def test_a_picture_of_void_alone_has_no_loss(scores):
    loss = segmentation_loss(scores, torch.full((2, 4, 5), VOID))
    loss.mean.backward()
    assert loss.mean.item() == 0
    assert not scores.grad.any()


def test_totals_of_parts_add_up_to_that_of_the_whole(scores, truth):
    weights = torch.tensor([1.0, 2.0, 3.0])
    parts = [segmentation_loss(scores[n : n + 1], truth[n : n + 1], weights) for n in range(2)]
    whole = segmentation_loss(scores, truth, weights)
    assert sum(part.total for part in parts).item() == pytest.approx(whole.total.item(), rel=1e-6)
    assert sum(part.weight for part in parts).item() == pytest.approx(whole.weight.item())


def test_rare_classes_weigh_more_and_pixels_one_on_average():
    pixels = torch.tensor([900, 100, 0])
    weights = balance(pixels)
    assert (weights[1] / weights[0]).item() == pytest.approx(3)
    assert (weights * pixels).sum().item() == pytest.approx(1000, rel=1e-6)
    assert weights[2] == 1


def test_without_pixels_all_classes_weigh_one():
    assert balance(torch.zeros(3, dtype=torch.int64)).tolist() == [1, 1, 1]
