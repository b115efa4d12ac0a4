"""The weights of a detector in training: the first ones, what moves them, and their average."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

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


def make_optimiser(network: nn.Module, options: TrainOptions) -> Optimizer:
    """What has one dimension, biases and the numbers of norms, does not decay.

    A trunk that was learned elsewhere moves as fast as the rest: slower was not better.
    """
    weights = [one for one in network.parameters() if one.dim() > 1]
    others = [one for one in network.parameters() if one.dim() == 1]
    groups = [
        {"params": weights, "weight_decay": options.weight_decay},
        {"params": others, "weight_decay": 0.0},
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


def check_weights(network: nn.Module) -> None:
    """Raises Diverged if one of its numbers is none."""
    if not all(bool(one.isfinite().all()) for one in network.state_dict().values()):
        raise Diverged(f"The weights are no numbers any more. {ADVICE}")


@contextmanager
def fix_chance(place: Sequence[int], device: torch.device) -> Iterator[None]:
    """What is drawn within it depends on these numbers alone, and nothing after it does."""
    seed = np.random.SeedSequence(place).generate_state(1, np.uint64)[0]
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(int(seed))
        yield


def digest(weights: Mapping[str, Tensor]) -> str:
    """The same for the same names and numbers."""
    whole = hashlib.sha256()
    for name, tensor in weights.items():
        whole.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
    return whole.hexdigest()


def as_one_batch(network: Yolo) -> Yolo:
    """Let batch normalisation see the pictures of all processes; CUDA alone can."""
    made: Yolo = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    return made
