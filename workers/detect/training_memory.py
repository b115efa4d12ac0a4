"""How much memory a training takes, told before anything of it is made."""

import os
from pathlib import Path

import torch
from torch import Tensor, nn

from workers.detect.batches import MAX_KEPT
from workers.detect.train_options import TrainOptions
from workers.detect.yolo import Yolo
from workers.detect.yolo_config import YoloConfig
from workers.runtime.run import TooLarge

# Of the weights: the network, its gradients, AdamW's two means, the average, the best, the result.
COPIES = 7
WORK = 1.5  # bytes at the peak for each byte of the layers' outputs, measured: 1.3 to 1.5
USABLE = 0.75  # of the memory; the rest is for the interpreter, the pictures, the system
CONTAINER = Path("/sys/fs/cgroup/memory.max")  # its limit, in control groups of version 2


def check_memory(options: TrainOptions, pictures: int, device: torch.device) -> None:
    """Raises TooLarge; what does not fit on a GPU is told by the GPU."""
    part = -(-min(options.batch, pictures) // options.parts)
    weights, outputs = count_numbers(options.network, part)
    squares = min(pictures * options.network.side**2 * 3, 2 * MAX_KEPT)
    needed = 4 * COPIES * weights + squares
    if device.type == "cpu":
        needed += int(4 * WORK * outputs)
    allowed = int(USABLE * find_memory())
    if needed > allowed:
        raise TooLarge(
            f"Training would take about {needed / 2**30:.1f} GB of memory, more than the "
            f"{allowed / 2**30:.1f} GB this worker may use: {weights} weights, and {outputs} "
            "numbers for the gradients of a batch. Use a smaller `preset`, `side`, `grid` or "
            "`batch_size`, or more `parts`."
        )


def count_numbers(config: YoloConfig, pictures: int) -> tuple[int, int]:
    """(weights, the layers' outputs that are kept for the gradients of so many pictures)."""
    outputs = 0

    def count(module: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal outputs
        if not getattr(module, "inplace", False):
            outputs += output.numel()

    with torch.device("meta"):  # shapes without numbers
        network = Yolo(config)
        for module in network.modules():
            if not list(module.children()):
                module.register_forward_hook(count)
        network(torch.empty(pictures, 3, config.side, config.side))
    return sum(one.numel() for one in network.parameters()), outputs


def find_memory() -> int:
    """Bytes of the machine, or of the container this runs in if those are fewer."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = CONTAINER.read_text().strip() if CONTAINER.exists() else "max"
    return machine if limit == "max" else min(machine, int(limit))
