"""How much memory the training of a segmentation network takes."""

import torch

from workers.runtime.training_memory import (
    COPIES,
    HOST_COPIES,
    Numbers,
    count_numbers,
    refuse_beyond,
)
from workers.segment.batches import MAX_KEPT
from workers.segment.fcn import FCN
from workers.segment.fcn_config import FcnConfig
from workers.segment.labelled import LabelledPictures
from workers.segment.tiles import choose_tiling
from workers.segment.train_options import TrainOptions

# At the peak of a step, beside a layer and the gradients of the scores: bytes for each byte of the
# layers' outputs. Measured of all encoders, frozen or not: 1.1 to 1.4.
WORK = 1.4
LOOKING = 1.4  # bytes at the peak for each byte of the largest layer, measured: 1.0 to 1.4
WINDOW = 40  # bytes of a pixel of a window: float32 and int64, and once more while it is made


def check_memory(options: TrainOptions, data: LabelledPictures, device: torch.device) -> None:
    """Raises TooLarge. Of a GPU only the host's memory is looked at.

    Looking at a held-out picture, whole or in tiles, may take more than a step does.
    """
    numbers = count_numbers(lambda: make_frozen(options), *options.window)
    pixels = options.window[0] * options.window[1]
    step = min(options.batch, len(data.pictures))
    needed = min(4 * sum(one.width * one.height for one in data.pictures), 2 * MAX_KEPT)
    needed += WINDOW * pixels * step
    if device.type == "cpu":
        learning = count_learning(options, numbers, -(-step // options.parts))
        needed += max(learning, count_looking(options.network, data))
        needed += 4 * (COPIES + 1) * numbers.weights  # with those that the encoder starts with
        advice = "a smaller `encoder`, `height`, `width` or `batch_size`, or more `parts`"
    else:
        needed += 4 * (HOST_COPIES + 1) * numbers.weights
        advice = "a smaller `encoder`, `height`, `width` or `batch_size`, or fewer pictures"
    refuse_beyond(needed, device, f"{numbers}. Use {advice}.")


def count_learning(options: TrainOptions, numbers: Numbers, part: int) -> int:
    """Bytes of what so many windows of a step make."""
    scores = options.network.classes * options.window[0] * options.window[1]
    return int(4 * part * (WORK * numbers.outputs + numbers.layer + scores))


def count_looking(config: FcnConfig, data: LabelledPictures) -> int:
    """Bytes of looking at the largest picture, tile by tile."""
    side = choose_tiling(config.classes).side
    tiles, band = [(1, 1)], 0
    for one in data.pictures:
        tiles.append((min(one.height, side), min(one.width, side)))
        shorter, longer = sorted((one.height, one.width))
        band = max(band, shorter * min(longer, side))
    height, width = max(tiles, key=lambda tile: tile[0] * tile[1])
    layer = count_numbers(lambda: FCN(config), height, width).layer
    return int(4 * (LOOKING * layer + config.classes * band))


def make_frozen(options: TrainOptions) -> FCN:
    """The last network, whose frozen stages keep nothing for gradients."""
    network = FCN(options.network)
    network.encoder.stages[: options.frozen].requires_grad_(False)
    return network
