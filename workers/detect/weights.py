"""The weights of a detector in training: the first ones, and whether they are numbers still."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from workers.detect.train_options import ADVICE, Diverged, TrainOptions
from workers.detect.yolo import Yolo


def make_network(options: TrainOptions, trunk: Mapping[str, Tensor] | None) -> Yolo:
    """Of the weights that the seed gives, the same whatever else was drawn before.

    Those of the trunk are the given ones; raises ValueError if it has no such layers.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        network = Yolo(options.network)
    if trunk is not None:
        hand_over(trunk, network.trunk)
    return network.to(memory_format=torch.channels_last)  # a third faster, on a CPU too


def hand_over(learned: Mapping[str, Tensor], trunk: nn.Module) -> None:
    """Copy the layers that both have: one of the two may be longer, and go on with others.

    Raises ValueError if they do not begin with the same layers.
    """
    begun = trunk.state_dict()
    both = [name for name in begun if name in learned and begun[name].shape == learned[name].shape]
    if len(both) < min(len(begun), len(learned)):
        raise ValueError("The weights to start with are of other layers than the detector's.")
    trunk.load_state_dict({**begun, **{name: learned[name] for name in both}})


def check_weights(network: nn.Module) -> None:
    """Raises Diverged if one of its numbers is none."""
    if not all(bool(one.isfinite().all()) for one in network.state_dict().values()):
        raise Diverged(f"The weights are no numbers any more. {ADVICE}")
