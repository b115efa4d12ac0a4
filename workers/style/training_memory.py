"""How much memory the training of a one-pass network takes."""

import torch

from workers.runtime.training_memory import (
    COPIES,
    HOST_COPIES,
    count_numbers,
    refuse_training,
)
from workers.runtime.vgg16 import WIDTHS
from workers.style.contents import Contents
from workers.style.layers import count_features
from workers.style.one_pass import OnePass
from workers.style.train_options import TrainOptions
from workers.style.windows import MAX_KEPT, count_bytes

# At the peak of a step: bytes for each byte of the layers' outputs. Measured: see its test.
WORK = 1.75
LOOKING = 2.0  # bytes at the peak of looking at the style, for each byte of a map of 64 channels
WINDOW = 24  # bytes of a pixel of a square: float32, and once more while it is made


def check_memory(options: TrainOptions, data: Contents, device: torch.device) -> None:
    """Raises TooLarge. Of a GPU only the host's memory is counted."""
    numbers = count_numbers(lambda: OnePass(options.network), options.window, options.window)
    needed = WINDOW * options.batch * options.window**2 + count_kept(data, options.window)
    if device.type == "cpu":
        learning = count_learning(options, numbers.outputs)
        needed += max(learning, count_looking(options)) + 4 * COPIES * numbers.weights
    else:
        needed += 4 * HOST_COPIES * numbers.weights
    advice = "Use a smaller `window`, `batch_size`, `style_size` or `width`."
    refuse_training(needed, device, f"{numbers}. {advice}")


def count_kept(data: Contents, window: int) -> int:
    """Bytes of pictures that stay decoded: all of them, or none."""
    whole = count_bytes(data, window)
    return whole if whole <= MAX_KEPT else 0


def count_learning(options: TrainOptions, outputs: int) -> int:
    """Bytes of what the squares of a step make, of so many numbers of the network for each."""
    seen = count_features(options.looked_at) * options.window**2
    return int(4 * WORK * options.batch * (outputs + seen))


def count_looking(options: TrainOptions) -> int:
    """Bytes of what looking at the style makes."""
    return int(4 * LOOKING * WIDTHS[0] * options.style_size**2)
