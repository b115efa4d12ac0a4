"""The weights of a network in training: the first ones, what moves them, and their average."""

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from workers.segment.fcn import FCN
from workers.segment.fcn_config import FcnConfig
from workers.segment.train_options import TrainOptions


def make_network(config: FcnConfig, seed: int, encoder: Mapping[str, Tensor] | None = None) -> FCN:
    """Of the weights that the seed gives, the same whatever else was drawn before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = FCN(config)
    if encoder is not None:
        network.encoder.load_state_dict(encoder)
    return network.to(memory_format=torch.channels_last)


def make_optimiser(network: nn.Module, options: TrainOptions) -> Optimizer:
    """What has one dimension, biases and the numbers of norms, does not decay."""
    learned = [one for one in network.parameters() if one.requires_grad]
    groups = [
        {"params": [one for one in learned if one.dim() > 1], "weight_decay": options.weight_decay},
        {"params": [one for one in learned if one.dim() == 1], "weight_decay": 0.0},
    ]
    if options.optimiser == "sgd":
        return SGD(groups, options.learning_rate, options.momentum)
    return AdamW(groups, options.learning_rate)


@torch.no_grad()
def move_average(average: nn.Module, network: nn.Module, share: float) -> None:
    """Bring the average so much nearer, in [0, 1]; whole numbers are copied."""
    new = network.state_dict()
    for name, old in average.state_dict().items():
        if old.is_floating_point():
            old.lerp_(new[name], share)
        else:
            old.copy_(new[name])


def digest(weights: Mapping[str, Tensor]) -> str:
    """The same for the same weights."""
    whole = hashlib.sha256()
    for name, one in weights.items():
        whole.update(name.encode() + one.cpu().contiguous().numpy().tobytes())
    return whole.hexdigest()


def as_one_batch(network: FCN) -> FCN:
    """Let batch normalisation see the pictures of all processes; CUDA alone can."""
    made: FCN = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    return made
