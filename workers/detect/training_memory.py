"""How much memory the training of a detector takes."""

import torch

from workers.detect.batches import MAX_KEPT
from workers.detect.train_options import TrainOptions
from workers.detect.validation import count_scores, count_together
from workers.detect.yolo import Yolo
from workers.runtime.training_memory import (
    COPIES,
    HOST_COPIES,
    Numbers,
    count_numbers,
    refuse_training,
)

WORK = 1.5  # bytes at the peak for each byte of the layers' outputs, measured: 1.3 to 1.5


def check_memory(options: TrainOptions, pictures: int, device: torch.device) -> None:
    """Raises TooLarge. Of a GPU only the host's memory is looked at.

    After a step's gradients, the largest are the layers of the held-out pictures, looked at
    without gradients, and their scores.
    """
    config = options.network
    numbers = count_numbers(lambda: Yolo(config), config.side, config.side)
    squares = min(pictures * config.side**2 * 3, 2 * MAX_KEPT)
    if device.type == "cpu":
        needed = 4 * COPIES * numbers.weights + squares + _count_work(options, pictures, numbers)
        advice = "a smaller `preset`, `side`, `grid` or `batch_size`, or more `parts`"
    else:
        needed = 4 * HOST_COPIES * numbers.weights + squares
        advice = "a smaller `preset` or `side`, or fewer pictures"
    refuse_training(needed, device, f"{numbers}. Use {advice}.")


def _count_work(options: TrainOptions, pictures: int, numbers: Numbers) -> int:
    """Bytes of a step's part, or of the held-out pictures looked at together if those are more."""
    part = -(-min(options.batch, pictures) // options.parts)
    scores = count_scores(options.network)
    together = count_together(options.network.side, scores)
    learning = part * WORK * numbers.outputs
    looking = together * (WORK * numbers.layer + scores)
    return int(4 * max(learning, looking))
