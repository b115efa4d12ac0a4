"""How much memory a training takes, told before anything of it is made."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from workers.runtime.memory import refuse_beyond

# Of the weights: the network, its gradients, AdamW's two means, the average, the best, the result;
# and, where a training goes on, one more while its checkpoint is read.
COPIES = 8
# Beside a GPU: the best, and what a checkpoint is written from.
HOST_COPIES = 5


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


def refuse_training(needed: int, device: torch.device, advice: str) -> None:
    """Raises TooLarge for more bytes of this machine than a training may use.

    Of a GPU's memory nothing is known here: it tells itself what is full.
    """
    on_gpu = device.type != "cpu"
    refuse_beyond(needed, "Training" + on_gpu * ", beside the memory of its GPU,", advice)
