"""A segmentation network as an ONNX file for other programs, and proof that it says the same."""

import copy
import json
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from workers.runtime import onnx_export
from workers.runtime.onnx_export import (
    Checked,
    NotEqual,
    check_bytes,
    copy_to_cpu,
    list_shapes,
    make_pictures,
    open_onnx,
    run_onnx,
)
from workers.runtime.run import InvalidInput, TooLarge
from workers.runtime.training_memory import count_numbers
from workers.segment.scores import ignore, score_pixels
from workers.segment.served import Served

OUTPUT = "probabilities"
LIMIT = 1e-3  # difference of a probability from torch's
# That one layer reads and makes of one picture: 256 MiB. Three pictures are compared at once, which
# takes 2 GiB.
MOST_NUMBERS = 2**26

Size = tuple[int, int]  # height, width


class Probabilities(nn.Module):
    """A network of any kind as one that answers how likely each class is."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor) -> Tensor:
        """(B, 3, H, W) RGB in [0, 1] -> (B, C, H, W) in [0, 1], of sum 1 over the classes."""
        return score_pixels(self.network, pictures).softmax(dim=1)


def choose_size(served: Served, height: int | None, width: int | None) -> Size:
    """What the file is for. Raises InvalidInput for a size that the network never sees."""
    side = served.resolution
    if served.square:
        if not {height, width} <= {side, None}:
            raise InvalidInput(
                f"{served.name} sees pictures of {side} x {side} pixels alone: leave out height "
                "and width."
            )
        return side, side
    height = height or side
    return height, width or round(height * 4 / 3)


def check_size(served: Served, size: Size) -> None:
    """Raises TooLarge."""
    pixels = size[0] * size[1]
    layer = count_numbers(lambda: copy.deepcopy(served.network).to("meta"), *size).layer
    numbers = max(layer, 2 * len(served.labels) * pixels)  # softmax is no layer
    if numbers > MOST_NUMBERS:
        raise TooLarge(
            f"A layer of {served.name} reads and makes {numbers} numbers of {size[0]} x {size[1]} "
            "pixels, which are too many. Choose a height and a width that multiply to about "
            f"{pixels * MOST_NUMBERS // numbers}."
        )


def write_onnx(served: Served, size: Size, path: Path) -> None:
    """How likely each class is, for any number of pictures (height, width) at once.

    Takes about three times the memory of the weights. Raises TooLarge.
    """
    check_bytes(served.network)
    check_size(served, size)
    network = Probabilities(copy_to_cpu(served.network)).eval()
    onnx_export.write_onnx(network, size, [OUTPUT], describe(served, size), path)


def describe(served: Served, size: Size) -> dict[str, str]:
    """What a program needs to know to use the file; all but two texts are JSON."""
    height, width = size
    return {
        "model": served.name,
        "classes": json.dumps(served.labels),  # of the channels of the answer
        "palette": json.dumps(served.palette),
        "preprocessing": (
            f"RGB divided by 255, (batch, 3, {height}, {width}); the picture scaled to this size "
            "with smoothed bilinear interpolation. The answer, (batch, classes, height, width), is "
            "how likely each class is; the largest gives the mask."
        ),
    }


def check_onnx(
    served: Served, size: Size, path: Path, watch: Callable[[], None] = ignore
) -> Checked:
    """Raises NotEqual if onnxruntime's answers are not those of torch, both on the CPU.

    `watch` is called after each comparison, and may raise.
    """
    session = open_onnx(path)
    network = Probabilities(copy_to_cpu(served.network)).eval()
    differences = []
    for pictures in make_pictures(size):
        differences.append(compare(network, pictures, run_onnx(session, pictures)[0]))
        watch()
    difference = float(torch.tensor(differences).max())  # not a number if one is not
    if not difference <= LIMIT:
        raise NotEqual(
            f"In onnxruntime probabilities differ by up to {difference:.3g}: too much to be the "
            "same network. If its losses were not numbers any more, train it again; or export it "
            "in the format atelier."
        )
    return Checked(*list_shapes(session), difference)


@torch.inference_mode()
def compare(network: nn.Module, pictures: Tensor, answers: Tensor) -> float:
    """The largest difference; torch sees one picture at a time, which takes less memory."""
    return max(
        float((network(picture[None])[0] - answer).abs().max())
        for picture, answer in zip(pictures, answers, strict=True)
    )
