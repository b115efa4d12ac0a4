"""How much memory a training takes, told before anything of it is made."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from workers.runtime.run import TooLarge

# Of the weights: the network, its gradients, AdamW's two means, the average, the best, the result;
# and, where a training goes on, one more while its checkpoint is read.
COPIES = 8
# Beside a GPU: the best, and what a checkpoint is written from.
HOST_COPIES = 5
USABLE = 0.75  # of the memory; the rest is for the interpreter, the pictures, the system
CONTAINER = Path("/sys/fs/cgroup/memory.max")  # its limit, in control groups of version 2


@dataclass(frozen=True)
class Numbers:
    """What a network has and, for each picture, makes."""

    weights: int
    outputs: int  # of the layers, which are kept for the gradients
    layer: int  # the most that one layer reads and makes

    def __str__(self) -> str:
        return f"{self.weights} weights, and {self.outputs} numbers for the gradients of a picture"


def count_numbers(make: Callable[[], nn.Module], height: int, width: int) -> Numbers:
    """Of a picture of this size, of what `make` makes: shapes without numbers."""
    outputs = layer = 0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal outputs, layer
        if not getattr(module, "inplace", False):
            outputs += output.numel() * output.requires_grad  # frozen layers keep none
            layer = max(layer, output.numel() + sum(one.numel() for one in inputs))

    with torch.device("meta"):
        network = make().eval()  # batch normalisation cannot learn from one picture
        for module in network.modules():
            if not list(module.children()):
                module.register_forward_hook(count)
        network(torch.empty(1, 3, height, width))
    return Numbers(sum(one.numel() for one in network.parameters()), outputs, layer)


def refuse_beyond(needed: int, device: torch.device, advice: str) -> None:
    """Raises TooLarge for more bytes of this machine than a training may use.

    Of a GPU's memory nothing is known here: it tells itself what is full.
    """
    allowed = int(USABLE * find_memory())
    if needed > allowed:
        beside = "" if device.type == "cpu" else ", beside that of its GPU"
        raise TooLarge(
            f"Training would take about {needed / 2**30:.1f} GB of memory{beside}, more than the "
            f"{allowed / 2**30:.1f} GB this worker may use: {advice}"
        )


def find_memory() -> int:
    """Bytes of the machine, or of the container this runs in if those are fewer."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = CONTAINER.read_text().strip() if CONTAINER.exists() else "max"
    return machine if limit == "max" else min(machine, int(limit))
