"""How much memory a training takes, told before anything of it is made."""

import os
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from workers.detect.batches import MAX_KEPT
from workers.detect.train_options import TrainOptions
from workers.detect.validation import count_scores, count_together
from workers.detect.yolo import Yolo
from workers.detect.yolo_config import YoloConfig
from workers.runtime.run import TooLarge

# Of the weights: the network, its gradients, AdamW's two means, the average, the best, the result;
# and, where a training goes on, one more while its checkpoint is read.
COPIES = 8
# Beside a GPU: the best, and what a checkpoint is written from.
HOST_COPIES = 5
WORK = 1.5  # bytes at the peak for each byte of the layers' outputs, measured: 1.3 to 1.5
USABLE = 0.75  # of the memory; the rest is for the interpreter, the pictures, the system
CONTAINER = Path("/sys/fs/cgroup/memory.max")  # its limit, in control groups of version 2


@dataclass(frozen=True)
class Numbers:
    """What a network has and, for each picture, makes."""

    weights: int
    outputs: int  # of the layers, which are kept for the gradients
    layer: int  # the most that one layer reads and makes


def check_memory(options: TrainOptions, pictures: int, device: torch.device) -> None:
    """Raises TooLarge. Of a GPU only the host's memory is looked at: it tells itself what is full.

    After a step's gradients, the largest are the layers of the held-out pictures, looked at
    without gradients, and their scores.
    """
    numbers = count_numbers(options.network)
    squares = min(pictures * options.network.side**2 * 3, 2 * MAX_KEPT)
    if device.type == "cpu":
        needed = 4 * COPIES * numbers.weights + squares + _count_work(options, pictures, numbers)
        advice = "a smaller `preset`, `side`, `grid` or `batch_size`, or more `parts`"
    else:
        needed = 4 * HOST_COPIES * numbers.weights + squares
        advice = "a smaller `preset` or `side`, or fewer pictures"
    allowed = int(USABLE * find_memory())
    if needed > allowed:
        beside = "" if device.type == "cpu" else ", beside that of its GPU"
        raise TooLarge(
            f"Training would take about {needed / 2**30:.1f} GB of memory{beside}, more than the "
            f"{allowed / 2**30:.1f} GB this worker may use: {numbers.weights} weights, and "
            f"{numbers.outputs} numbers for the gradients of a picture. Use {advice}."
        )


def _count_work(options: TrainOptions, pictures: int, numbers: Numbers) -> int:
    """Bytes of a step's part, or of the held-out pictures looked at together if those are more."""
    part = -(-min(options.batch, pictures) // options.parts)
    scores = count_scores(options.network)
    together = count_together(options.network.side, scores)
    learning = part * WORK * numbers.outputs
    looking = together * (WORK * numbers.layer + scores)
    return int(4 * max(learning, looking))


def count_numbers(config: YoloConfig) -> Numbers:
    """Without making any."""
    outputs = layer = 0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal outputs, layer
        if not getattr(module, "inplace", False):
            outputs += output.numel()
            layer = max(layer, output.numel() + sum(one.numel() for one in inputs))

    with torch.device("meta"):  # shapes without numbers
        network = Yolo(config).eval()  # batch normalisation cannot learn from one picture
        for module in network.modules():
            if not list(module.children()):
                module.register_forward_hook(count)
        network(torch.empty(1, 3, config.side, config.side))
    return Numbers(sum(one.numel() for one in network.parameters()), outputs, layer)


def find_memory() -> int:
    """Bytes of the machine, or of the container this runs in if those are fewer."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = CONTAINER.read_text().strip() if CONTAINER.exists() else "max"
    return machine if limit == "max" else min(machine, int(limit))
