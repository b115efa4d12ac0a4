"""A detector as an ONNX file for other programs, and the proof that it finds the same there."""

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import onnx
import torch
from onnxruntime import InferenceSession, SessionOptions  # type: ignore[import-untyped]
from torch import Tensor, nn
from torch.nn import functional as F

from workers.detect.served import Network, Served
from workers.runtime.run import JobError, TooLarge

OPSET = 18  # onnxruntime reads it from 1.14 on, TensorRT from 8.6 on
INPUT, OUTPUTS = "pictures", ("boxes", "scores")
LARGEST = 2**31 - 2**24  # bytes of weights; protobuf, and so the file, ends at 2 GiB
BOX_LIMIT, SCORE_LIMIT = 0.05, 0.001  # differences from torch: pixels of the square; of 1
BATCHES = (1, 3)  # pictures the two are compared on
SEED = 0


class NotEqual(JobError):
    """The exported network does not answer as the original does."""

    code = "parity"


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
    held = sum(tensor.nbytes for tensor in served.network.state_dict().values())
    if held > LARGEST:
        raise TooLarge(
            f"The network holds {held / 2**30:.1f} GiB, and an ONNX file 2 at most: "
            "export it in the format atelier."
        )
    pictures = torch.zeros(2, 3, served.side, served.side)  # of one, torch would make a constant
    program = torch.onnx.export(
        Predict(copy_to_cpu(served.network)).eval(),
        (pictures,),
        dynamo=True,
        opset_version=OPSET,
        input_names=[INPUT],
        output_names=list(OUTPUTS),
        dynamic_shapes={INPUT: {0: torch.export.Dim("batch")}},
        verbose=False,
    )
    if program is None:
        raise RuntimeError("torch.onnx.export made no program")
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()  # stack traces with the folders of this machine
    program.model.metadata_props.update(describe(served))
    program.save(path)


def copy_to_cpu(network: Network) -> Network:
    """The same in the plain layout, not compiled; the one that is served stays as it is."""
    return copy.deepcopy(network).cpu().to(memory_format=torch.contiguous_format)


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
    onnx.checker.check_model(path, full_check=True)
    options = SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = InferenceSession(path, options, providers=["CPUExecutionProvider"])
    network = copy_to_cpu(served.network)
    found = [
        compare(network, session, pictures, served.side) for pictures in make_pictures(served.side)
    ]
    box_difference, score_difference = np.max(found, axis=0).tolist()  # not a number if one is not
    if not (box_difference <= BOX_LIMIT and score_difference <= SCORE_LIMIT):
        raise NotEqual(
            f"In onnxruntime boxes differ by up to {box_difference:.3g} pixels and scores by "
            f"{score_difference:.3g}: too much to be the same detector. If its losses were not "
            "numbers any more, train it again; or export it in the format atelier."
        )
    return Checked(
        inputs={one.name: one.shape for one in session.get_inputs()},
        outputs={one.name: one.shape for one in session.get_outputs()},
        box_difference=box_difference,
        score_difference=score_difference,
    )


@torch.inference_mode()
def compare(
    network: Network, session: InferenceSession, pictures: Tensor, side: int
) -> tuple[float, float]:
    """The largest differences of boxes, cut at the border, in pixels, and of scores."""
    boxes, scores = network.predict(pictures)
    other_boxes, other_scores = map(
        torch.from_numpy, session.run(list(OUTPUTS), {INPUT: pictures.numpy()})
    )
    apart = boxes.clamp(0, side) - other_boxes.clamp(0, side)
    return float(apart.abs().max()), float((scores - other_scores).abs().max())


def make_pictures(side: int) -> Iterator[Tensor]:
    """(B, 3, side, side) in [0, 1] for each of BATCHES: noise, and areas with soft edges."""
    generator = torch.Generator().manual_seed(SEED)
    for count, cells in product(BATCHES, (side, 8)):
        picture = torch.rand(count, 3, cells, cells, generator=generator)
        yield F.interpolate(picture, (side, side), mode="bilinear").clamp(0, 1)
