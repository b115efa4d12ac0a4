"""What trainings of all workers share."""

import torch
from torch import nn

from workers.runtime.training import (
    digest,
    fix_chance,
    make_optimiser,
    move_average,
    pack_optimiser,
    unpack_optimiser,
)

CPU = torch.device("cpu")


def make_network() -> nn.Module:
    with fix_chance((1,), CPU):
        return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1))


def take_step(network: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    optimiser.zero_grad()
    network(torch.ones(2, 3)).sum().backward()
    optimiser.step()


def test_an_optimiser_goes_on_from_its_packed_state():
    whole, first, second = make_network(), make_network(), make_network()
    optimisers = [make_optimiser(one, "adamw", 0.1, 0.9, 0.01) for one in (whole, first, second)]
    for _ in range(2):
        take_step(whole, optimisers[0])
    take_step(first, optimisers[1])
    second.load_state_dict(first.state_dict())
    unpack_optimiser(optimisers[2], {"network": {}, **pack_optimiser(optimisers[1])})
    take_step(second, optimisers[2])
    assert digest(second.state_dict()) == digest(whole.state_dict()) != digest(first.state_dict())


def test_biases_do_not_decay_and_what_is_frozen_does_not_learn():
    network = make_network()
    network[0].weight.requires_grad_(False)
    groups = make_optimiser(network, "sgd", 0.1, 0.9, 0.01).param_groups
    assert [group["weight_decay"] for group in groups] == [0.01, 0.0]
    assert [[tuple(one.shape) for one in group["params"]] for group in groups] == [
        [(1, 4)],
        [(4,), (1,)],
    ]


def test_chance_is_fixed_within_and_goes_on_after_as_if_nothing_had_been_drawn():
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    with fix_chance((3, 1), CPU):
        drawn = torch.rand(2)
    assert torch.equal(torch.rand(2), expected)
    with fix_chance((3, 1), CPU):
        assert torch.equal(torch.rand(2), drawn)
    with fix_chance((3, 2), CPU):
        assert not torch.equal(torch.rand(2), drawn)


def test_an_average_moves_by_its_share_and_counts_are_copied():
    average, network = nn.BatchNorm1d(1), nn.BatchNorm1d(1)
    average.running_mean.fill_(1.0)
    network.running_mean.fill_(3.0)
    network.num_batches_tracked.fill_(7)
    move_average(average, network, 0.25)
    assert average.running_mean.item() == 1.5
    assert average.num_batches_tracked.item() == 7
