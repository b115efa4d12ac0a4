"""A one-pass network as an ONNX file for other programs, and proof that it paints the same."""

from pathlib import Path

import torch

from workers.runtime import onnx_export
from workers.runtime.onnx_export import (
    Checked,
    NotEqual,
    copy_to_cpu,
    list_shapes,
    make_pictures,
    open_onnx,
    run_onnx,
)
from workers.style.one_pass import LEAST_SIDE
from workers.style.served import Served
from workers.style.stops import Stop

OUTPUT = "painted"
LIMIT = 1e-3  # difference of a pixel in [0, 1] from torch's: a quarter of a step of 8 bits
TRACED = (64, 96)  # pixels: height and width of what it is traced with
COMPARED = (TRACED, (45, 67))  # the latter are no multiples of four
ABOUT = (
    f"RGB divided by 255, (batch, 3, height, width), of {LEAST_SIDE} pixels or more a side. The "
    "answer is the picture painted, RGB in [0, 1], of the same size."
)


def write_onnx(served: Served, path: Path) -> None:
    """Paints any number of pictures of any one size at once."""
    about = {"model": served.name, "preprocessing": ABOUT}
    network = copy_to_cpu(served.network)
    onnx_export.write_onnx(network, TRACED, [OUTPUT], about, path, LEAST_SIDE, same_shape=True)


@torch.inference_mode()
def check_onnx(served: Served, path: Path, watch: Stop) -> Checked:
    """Raises NotEqual if onnxruntime does not paint as torch does, both on the CPU.

    `watch` is called after each comparison, and may raise.
    """
    session = open_onnx(path)
    network = copy_to_cpu(served.network)
    differences = []
    for size in COMPARED:
        for pictures in make_pictures(size):
            differences.append((network(pictures) - run_onnx(session, pictures)[0]).abs().max())
            watch()
    difference = float(torch.stack(differences).max())  # not a number if one is not
    if not difference <= LIMIT:
        raise NotEqual(
            f"In onnxruntime pixels differ by up to {difference:.3g}: too much to be the same "
            "network. If its losses were not numbers any more, train it again; or export it in the "
            "format atelier."
        )
    return Checked(*list_shapes(session), difference)
