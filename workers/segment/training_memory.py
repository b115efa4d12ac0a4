"""How much memory the training of a segmentation network takes."""

import torch

from workers.runtime.run import TooLarge
from workers.runtime.training_memory import (
    COPIES,
    HOST_COPIES,
    Numbers,
    count_numbers,
    refuse_training,
)
from workers.segment.batches import MAX_KEPT, count_bytes
from workers.segment.fcn import FCN
from workers.segment.fcn_config import FcnConfig
from workers.segment.labelled import LabelledPictures
from workers.segment.restore import MAX_NUMBERS
from workers.segment.sizes import check_scores, scale_size
from workers.segment.tiles import choose_tiling
from workers.segment.train_options import TrainOptions, choose_resolution, split_parts

# At the peak of a step, beside a layer and the gradients of the scores: bytes for each byte of the
# layers' outputs. Measured of all encoders, frozen or not: 1.1 to 1.4.
WORK = 1.4
LOOKING = 1.4  # bytes at the peak for each byte of the largest layer, measured: 1.0 to 1.4
RESTORED = 4  # scores held for each one that is brought back to a picture's own size
WINDOW = 40  # bytes of a pixel of a window: float32 and int64, and once more while it is made


def check_memory(options: TrainOptions, data: LabelledPictures, device: torch.device) -> None:
    """Raises TooLarge, and ValueError as `split_parts`. Of a GPU only the host's memory is counted.

    Looking at a held-out picture, whole or in tiles, may take more than a step does.
    """
    learning, held = split_parts(data, options)
    resolution = options.resolution or choose_resolution(learning)
    numbers = count_numbers(lambda: make_frozen(options), *options.window)
    step = min(options.batch, len(learning.pictures))
    needed = count_kept(learning, resolution)
    needed += WINDOW * options.window[0] * options.window[1] * step
    if held:
        check_held(options.network.classes, held, resolution)
        needed += count_kept(held, None)
    if device.type == "cpu":
        looking = count_looking(options.network, held, resolution) if held else 0
        needed += max(count_learning(options, numbers, -(-step // options.parts)), looking)
        needed += 4 * (COPIES + 1) * numbers.weights  # with those that the encoder starts with
        advice = "a smaller `encoder`, `height`, `width` or `batch_size`, or more `parts`"
    else:
        needed += count_scores(options.network.classes, held, resolution) if held else 0
        needed += 4 * (HOST_COPIES + 1) * numbers.weights
        advice = "a smaller `encoder`, `height`, `width` or `batch_size`, or fewer pictures"
    refuse_training(needed, device, f"{numbers}. Use {advice}.")


def check_held(classes: int, held: LabelledPictures, resolution: int) -> None:
    """Raises TooLarge, which names the picture, for one that no job could look at either."""
    for one in held.pictures:
        try:
            check_scores(classes, scale_size(one.width, one.height, resolution))
        except TooLarge as error:
            raise TooLarge(f"{one.path}, which is held out: {error}") from error


def count_kept(data: LabelledPictures, resolution: int | None) -> int:
    """Bytes of pictures and masks that stay decoded: all of them, or none."""
    whole = count_bytes(data, resolution)
    return whole if whole <= MAX_KEPT else 0


def count_learning(options: TrainOptions, numbers: Numbers, part: int) -> int:
    """Bytes of what so many windows of a step make."""
    scores = options.network.classes * options.window[0] * options.window[1]
    return int(4 * part * (WORK * numbers.outputs + numbers.layer + scores))


def count_looking(config: FcnConfig, held: LabelledPictures, resolution: int) -> int:
    """Bytes of looking at the largest picture, tile by tile."""
    side = choose_tiling(config.classes).side
    sizes = (scale_size(one.width, one.height, resolution) for one in held.pictures)
    tiles = [(min(height, side), min(width, side)) for height, width in sizes]
    height, width = max(tiles, key=lambda tile: tile[0] * tile[1])
    layer = count_numbers(lambda: FCN(config), height, width).layer
    return int(4 * LOOKING * layer) + count_scores(config.classes, held, resolution)


def count_scores(classes: int, held: LabelledPictures, resolution: int) -> int:
    """Bytes of a band of tiles, which is held on the host, and of what is restored of it."""
    side, most = choose_tiling(classes).side, 0
    for one in held.pictures:
        seen = scale_size(one.width, one.height, resolution)
        numbers = classes * min(seen) * min(max(seen), side)
        if seen != (one.height, one.width):
            numbers += RESTORED * min(MAX_NUMBERS, classes * one.width * one.height)
        most = max(most, 4 * numbers)
    return most


def make_frozen(options: TrainOptions) -> FCN:
    """The last network, whose frozen stages keep nothing for gradients."""
    network = FCN(options.network)
    network.encoder.stages[: options.frozen].requires_grad_(False)
    return network
