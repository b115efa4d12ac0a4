"""A detector as an ONNX file for other programs, and the proof that it finds the same there."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from onnxruntime import InferenceSession  # type: ignore[import-untyped]
from torch import Tensor, nn

from workers.detect.served import Network, Served
from workers.runtime import onnx_export
from workers.runtime.onnx_export import (
    NotEqual,
    check_bytes,
    copy_to_cpu,
    list_shapes,
    make_pictures,
    open_onnx,
    run_onnx,
)

OUTPUTS = ("boxes", "scores")
BOX_LIMIT, SCORE_LIMIT = 0.05, 0.001  # differences from torch: pixels of the square; of 1


@dataclass(frozen=True)
class Checked:
    """What onnxruntime tells about a file, and how far its answers are from torch's at most."""

    inputs: dict[str, list[str | int]]  # name -> shape; the batch has a name in place of a size
    outputs: dict[str, list[str | int]]
    box_difference: float  # pixels, of boxes cut at the border of the square
    score_difference: float


class Predict(nn.Module):
    """A detector whose call is its `predict`."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, side, side) RGB in [0, 1] -> boxes (B, N, 4) xyxy in pixels, scores (B, N, C)."""
        return self.network.predict(pictures)


def write_onnx(served: Served, path: Path) -> None:
    """`predict` of the network, for any number of pictures at once; suppression is not in it.

    Takes about three times the memory of the weights. Raises TooLarge if no ONNX file can hold
    them.
    """
    check_bytes(served.network)
    network = Predict(copy_to_cpu(served.network)).eval()
    onnx_export.write_onnx(network, (served.side, served.side), OUTPUTS, describe(served), path)


def describe(served: Served) -> dict[str, str]:
    """What a program needs to know to use the file; all but the two texts are JSON."""
    placed = (
        "scaled by one factor to touch two sides of the square, centred, grey (128) around it"
        if served.bordered
        else "stretched over the square"
    )
    return {
        "model": served.name,
        "labels": json.dumps(served.labels),  # of the columns of the scores
        "side": json.dumps(served.side),
        "bordered": json.dumps(served.bordered),
        "score_threshold": json.dumps(served.suppression.score_threshold),
        "iou_threshold": json.dumps(served.suppression.iou_threshold),
        "preprocessing": (
            f"RGB divided by 255, (batch, 3, {served.side}, {served.side}); the picture {placed}, "
            "with bilinear interpolation. Boxes are left, top, right, bottom in pixels of the "
            "square, before non-maximum suppression."
        ),
    }


def check_onnx(served: Served, path: Path) -> Checked:
    """Raises NotEqual if onnxruntime's answers are not those of torch, both on the CPU."""
    session = open_onnx(path)
    network = copy_to_cpu(served.network)
    found = [
        compare(network, session, pictures, served.side)
        for pictures in make_pictures((served.side, served.side))
    ]
    box_difference, score_difference = np.max(found, axis=0).tolist()  # not a number if one is not
    if not (box_difference <= BOX_LIMIT and score_difference <= SCORE_LIMIT):
        raise NotEqual(
            f"In onnxruntime boxes differ by up to {box_difference:.3g} pixels and scores by "
            f"{score_difference:.3g}: too much to be the same detector. If its losses were not "
            "numbers any more, train it again; or export it in the format atelier."
        )
    return Checked(*list_shapes(session), box_difference, score_difference)


@torch.inference_mode()
def compare(
    network: Network, session: InferenceSession, pictures: Tensor, side: int
) -> tuple[float, float]:
    """The largest differences of boxes, cut at the border, in pixels, and of scores."""
    boxes, scores = network.predict(pictures)
    other_boxes, other_scores = run_onnx(session, pictures)
    apart = boxes.clamp(0, side) - other_boxes.clamp(0, side)
    return float(apart.abs().max()), float((scores - other_scores).abs().max())
