"""A picture goes down its gradient, also where L-BFGS oversteps."""

import pytest
import torch
from torch import nn

from workers.style.descent import NoWayBack, make_descent


def descend(measure, start, name, steps, rate):
    """(the loss of what comes out, the losses on the way)."""
    picture = nn.Parameter(start.clone())
    descent = make_descent(name, picture)
    losses = []
    for step in range(steps):
        loss = measure(picture)
        [picture.grad] = torch.autograd.grad(loss, [picture])
        descent.step(loss.item(), rate, step == steps - 1)
        losses.append(loss.item())
    return measure(picture).item(), losses


def valley(point):
    """Rosenbrock's function (1960), least at (1, 1)."""
    across, along = point
    return (1 - across).square() + 100 * (along - across.square()).square()


def steep(point):
    """Of the fourth order: curvature that was learned far away is far too large a step near."""
    return (point**4).sum() + 1e-3 * point.cosh().sum()


@pytest.mark.parametrize(("name", "rate"), [("adam", 0.05), ("lbfgs", 1.0)])
def test_a_valley_is_descended(name, rate):
    end, losses = descend(valley, torch.tensor([-1.2, 1.0]), name, 600, rate)
    assert end < losses[0] / 100


@pytest.mark.parametrize("rate", [1.0, 10.0, 100.0])
def test_lbfgs_goes_back_where_it_oversteps(rate):
    end, losses = descend(steep, torch.tensor([3.0, -2.0, 0.5]), "lbfgs", 300, rate)
    assert max(losses) > losses[0] or rate == 1.0  # it did overstep
    assert end < losses[0] / 10


@pytest.mark.parametrize("steps", range(2, 40))
def test_lbfgs_never_ends_on_a_worse_picture(steps):
    end, losses = descend(valley, torch.tensor([-1.2, 1.0]), "lbfgs", steps, 50.0)
    assert end <= 1.5 * losses[0]


def test_lbfgs_recovers_from_what_is_no_number():
    def cliff(point):
        return (point - 3).square().sum().sqrt() - 0.01 * (1 - point).log().sum()

    end, losses = descend(cliff, torch.tensor([-5.0, -4.0]), "lbfgs", 100, 20.0)
    assert any(loss != loss for loss in losses)
    assert end < losses[0]


@pytest.mark.parametrize("name", ["adam", "lbfgs"])
def test_a_loss_that_is_no_number_from_the_start_is_told(name):
    with pytest.raises(NoWayBack):
        descend(lambda point: point.sum() * float("nan"), torch.ones(2), name, 3, 1.0)


def test_lbfgs_stays_where_every_step_is_too_long():
    def hole(point):
        return point.sum() + (0.0 if point.item() == 1 else float("inf"))

    end, losses = descend(hole, torch.tensor([1.0]), "lbfgs", 41, 1.0)
    assert end == losses[0] == 1
    assert losses[1] == float("inf")


@pytest.mark.parametrize("name", ["adam", "lbfgs"])
def test_nothing_moves_without_a_gradient(name):
    picture = nn.Parameter(torch.ones(3))
    descent = make_descent(name, picture)
    for _ in range(3):
        picture.grad = torch.zeros(3)
        descent.step(0.0, 1.0, False)
    assert torch.equal(picture.detach(), torch.ones(3))


def test_adam_goes_on_from_its_state():
    def run(steps, halfway):
        picture = nn.Parameter(torch.tensor([-1.2, 1.0]))
        descent = make_descent("adam", picture)
        for step in range(steps):
            if step == halfway:
                kept = descent.pack()
                descent = make_descent("adam", picture)
                descent.unpack(kept)
            [picture.grad] = torch.autograd.grad(valley(picture), [picture])
            descent.step(1.0, 0.1, False)
        return picture.detach()

    assert torch.equal(run(20, halfway=7), run(20, halfway=None))
