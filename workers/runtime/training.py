"""What trainings of different networks have in common: steps, chance, averages, checkpoints."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import SGD, AdamW, Optimizer

from workers.runtime.clock import Clock

SAVING = 20  # times as long as saving took, training goes on before the next time
OPTIMISER = "optimiser."  # begins the name of the part of a checkpoint with the state of a weight

N = TypeVar("N", bound=nn.Module)
P_co = TypeVar("P_co", covariant=True)  # how far it is
P = TypeVar("P")
T_co = TypeVar("T_co", covariant=True)  # what comes out
T = TypeVar("T")


class Steps(Protocol[P_co, T_co]):
    """A training that can be stopped after any step and resumed from its checkpoint."""

    rank: int  # of its process; only the first reports

    def resume(self) -> None: ...

    def is_over(self) -> bool: ...

    def advance(self, watch: Callable[[], None]) -> None:
        """One step of the optimiser; `watch` is called between its parts."""

    def has_seen_all(self) -> bool: ...

    def end_epoch(self, watch: Callable[[], None]) -> None: ...

    def describe(self) -> P_co: ...

    def save(self) -> None: ...

    def finish(self) -> T_co: ...


def run_through(
    training: Steps[P, T], report: Callable[[P], None], report_every: float, save_every: float
) -> T:
    """Train to the end, from the checkpoint if there is one; `report` may raise to stop it.

    Reports and saves so many seconds apart, and reports at the end of each epoch.
    """
    training.resume()
    reporting, saving = Clock(report_every, first=0.0), Clock(save_every)

    def look_up() -> None:
        if training.rank == 0 and reporting.is_due():
            report(training.describe())

    while not training.is_over():
        training.advance(look_up)
        if training.has_seen_all():
            training.end_epoch(look_up)
            reporting.due = 0.0
        look_up()
        if saving.is_due() or training.is_over():
            training.save()
            saving.wait(SAVING)
    return training.finish()


def make_optimiser(
    network: nn.Module, name: str, learning_rate: float, momentum: float, weight_decay: float
) -> Optimizer:
    """ "sgd" or AdamW, of what is to learn.

    What has one dimension, biases and the numbers of norms, does not decay.
    """
    learned = [one for one in network.parameters() if one.requires_grad]
    groups = [
        {"params": [one for one in learned if one.dim() > 1], "weight_decay": weight_decay},
        {"params": [one for one in learned if one.dim() == 1], "weight_decay": 0.0},
    ]
    if name == "sgd":
        return SGD(groups, learning_rate, momentum)
    return AdamW(groups, learning_rate)


def pack_optimiser(optimiser: Optimizer) -> dict[str, dict[str, Tensor]]:
    """Its state as parts of a checkpoint, by the place of each weight."""
    return {
        f"{OPTIMISER}{place}": {key: one for key, one in state.items() if one is not None}
        for place, state in optimiser.state_dict()["state"].items()
    }


def unpack_optimiser(optimiser: Optimizer, parts: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Give it the state that `pack_optimiser` packed; other parts are left alone."""
    states = {
        int(name.removeprefix(OPTIMISER)): own
        for name, own in parts.items()
        if name.startswith(OPTIMISER)
    }
    optimiser.load_state_dict({**optimiser.state_dict(), "state": states})


@contextmanager
def fix_chance(place: Sequence[int], device: torch.device) -> Iterator[None]:
    """What is drawn within it depends on these numbers alone, and nothing after it does."""
    seed = np.random.SeedSequence(place).generate_state(1, np.uint64)[0]
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(int(seed))
        yield


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
    """The same for the same names and numbers."""
    whole = hashlib.sha256()
    for name, tensor in weights.items():
        whole.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
    return whole.hexdigest()


def hold_back(joint: nn.Module) -> AbstractContextManager[None]:
    """Within it, the gradients of a network that processes share stay in each of them."""
    return joint.no_sync() if isinstance(joint, DistributedDataParallel) else nullcontext()


def as_one_batch(network: N) -> N:
    """Let batch normalisation see the pictures of all processes; CUDA alone can."""
    made: N = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    return made
