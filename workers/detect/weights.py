"""The weights of a detector in training: the first ones, what moves them, and their average."""

import hashlib

import torch
from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from workers.detect.train_options import TrainOptions
from workers.detect.yolo import Yolo
from workers.detect.yolo_v1 import ImageClassifier, hand_over


def make_network(options: TrainOptions, classifier: ImageClassifier | None) -> Yolo:
    """Of the weights that the seed gives, the same whatever else was drawn before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        network = Yolo(options.network)
    if classifier is not None:
        hand_over(classifier, network.trunk)
    return network.to(memory_format=torch.channels_last)  # a third faster, on a CPU too


def make_optimiser(network: nn.Module, options: TrainOptions) -> Optimizer:
    """What has one dimension, biases and the numbers of norms, does not decay."""
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


def digest(network: nn.Module) -> str:
    """The same for the same weights."""
    whole = hashlib.sha256()
    for name, weights in network.state_dict().items():
        whole.update(name.encode() + weights.cpu().contiguous().numpy().tobytes())
    return whole.hexdigest()


def as_one_batch(network: Yolo) -> Yolo:
    """Let batch normalisation see the pictures of all processes; CUDA alone can."""
    made: Yolo = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    return made
