"""A picture goes down its gradient; by L-BFGS never up, and never to where nothing was measured."""

import pytest
import torch
from torch import nn

from workers.style.descent import PATIENCE, TRIES, Measured, NoWayBack, make_descent

START = torch.tensor([-1.2, 1.0])


class Walk:
    """Notes what is measured on the way."""

    def __init__(self, function, start=START, name="lbfgs"):
        self.function, self.picture = function, nn.Parameter(start.clone())
        self.descent = make_descent(name, self.picture)
        self.calls = 0
        self.tried = []

    def measure(self):
        self.calls += 1
        loss = self.function(self.picture)
        [gradient] = torch.autograd.grad(loss, [self.picture])
        self.tried.append(loss.item())
        return Measured([0, loss.item(), 0], loss.item(), gradient)

    def go(self, steps, rate=1.0):
        """The losses before each step, and after all."""
        losses = [self.descent.step(self.measure, rate).value for _ in range(steps)]
        return [*losses, self.function(self.picture).item()]


def valley(point):
    """Rosenbrock's function (1960), least at (1, 1)."""
    across, along = point
    return (1 - across).square() + 100 * (along - across.square()).square()


def steep(point):
    """Of the fourth order: curvature that was learned far away is far too large a step near."""
    return (point**4).sum() + 1e-3 * point.cosh().sum()


def hole(point):
    """A number at 1 alone."""
    return point.sum() + (0.0 if point.item() == 1 else float("inf"))


@pytest.mark.parametrize(("name", "rate", "steps"), [("adam", 0.05, 600), ("lbfgs", 1.0, 60)])
def test_a_valley_is_descended(name, rate, steps):
    losses = Walk(valley, name=name).go(steps, rate)
    assert losses[-1] < losses[0] / 100


@pytest.mark.parametrize("function", [valley, steep])
@pytest.mark.parametrize("rate", [0.01, 1.0, 10.0, 100.0])
def test_lbfgs_never_goes_up(function, rate):
    losses = Walk(function).go(60, rate)
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0] / 10


def test_lbfgs_ends_each_step_where_it_measured():
    walk = Walk(valley)
    for _ in range(20):
        [_, end] = walk.go(1)
        assert end == min(walk.tried)


def test_a_search_of_lbfgs_is_bounded():
    walk = Walk(lambda point: -point.sum())  # down for ever
    for _ in range(5):
        before = walk.calls
        walk.go(1)
        assert 0 < walk.calls - before <= TRIES + 1


def test_lbfgs_recovers_from_what_is_no_number():
    def cliff(point):
        return (point - 3).square().sum().sqrt() - 0.01 * (1 - point).log().sum()

    walk = Walk(cliff, torch.tensor([-5.0, -4.0]))
    losses = walk.go(100, 1000.0)
    assert any(loss != loss for loss in walk.tried)
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.6 * losses[0]


@pytest.mark.parametrize("name", ["adam", "lbfgs"])
def test_a_loss_that_is_no_number_from_the_start_is_told(name):
    with pytest.raises(NoWayBack):
        Walk(lambda point: point.sum() * float("nan"), torch.ones(2), name).go(1)


def test_lbfgs_stays_where_there_is_no_way_down_and_no_longer_measures():
    walk = Walk(hole, torch.tensor([1.0]))
    assert walk.go(41) == [1.0] * 42
    assert walk.tried == [1.0] + [float("inf")] * PATIENCE


def test_what_ends_a_search_leaves_the_picture_as_it_was():
    walk = Walk(valley)
    walk.go(3)
    before = walk.picture.detach().clone()

    def measure():
        raise InterruptedError

    with pytest.raises(InterruptedError):
        walk.descent.step(measure, 1.0)
    assert torch.equal(walk.picture.detach(), before)
    losses = walk.go(10)
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("name", ["adam", "lbfgs"])
def test_nothing_moves_without_a_gradient(name):
    walk = Walk(lambda point: point.sum() * 0, torch.ones(3), name)
    walk.go(3)
    assert torch.equal(walk.picture.detach(), torch.ones(3))


def test_adam_goes_on_from_its_state():
    whole, halved = Walk(valley, name="adam"), Walk(valley, name="adam")
    whole.go(20, 0.1)
    halved.go(7, 0.1)
    kept = halved.descent.pack()
    halved.descent = make_descent("adam", halved.picture)
    halved.descent.unpack(kept)
    halved.go(13, 0.1)
    assert torch.equal(halved.picture, whole.picture)
