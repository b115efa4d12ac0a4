"""The first weights of a network in training."""

from collections.abc import Mapping

import torch
from torch import Tensor

from workers.segment.fcn import FCN
from workers.segment.fcn_config import FcnConfig


def make_network(config: FcnConfig, seed: int, encoder: Mapping[str, Tensor] | None = None) -> FCN:
    """Of the weights that the seed gives, the same whatever else was drawn before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = FCN(config)
    if encoder is not None:
        network.encoder.load_state_dict(encoder)
    return network.to(memory_format=torch.channels_last)
