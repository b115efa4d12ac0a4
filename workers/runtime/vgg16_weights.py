"""Reads VGG16's convolutions out of an ONNX file, of which nothing is run."""

from pathlib import Path

import onnx
import torch
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import numpy_helper

from workers.runtime.vgg16 import DEPTHS, VGG16

FILE = "vgg16.onnx"  # its name in the catalogue of pretrained files


def load_vgg16(network: VGG16, path: Path) -> None:
    """Fill a network, of the paper's widths and without normalisation, with ImageNet's weights.

    The file has them as (outputs, inputs, height, width), the first for blue, green, red. Raises
    ValueError if it is no ONNX file, or lacks a tensor of the right shape and type.
    """
    stored = read_tensors(path)
    blocks = [(stage, place) for stage, depth in enumerate(DEPTHS, 1) for place in range(depth)]
    for (stage, place), layer in zip(blocks, network.convolutions(), strict=True):
        name = f"functional_1/block{stage}_conv{place + 1}_1"
        assert layer.bias is not None  # there is one without normalisation
        for own, end in ((layer.weight, "convolution/ReadVariableOp:0"), (layer.bias, "Squeeze:0")):
            found = stored.get(f"{name}/{end}")
            if found is None or (found.shape, found.dtype) != (own.shape, own.dtype):
                raise ValueError(f"{path} lacks {name}/{end} as {own.dtype} {tuple(own.shape)}.")
            own.data.copy_(found)
    first = network.convolutions()[0].weight
    first.data.copy_(first.data.flip(1))  # the network takes red, green, blue


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Every constant of a model by its name. Raises ValueError."""
    try:
        graph = onnx.load(path, load_external_data=False).graph
        arrays = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    except (DecodeError, onnx.checker.ValidationError) as error:
        raise ValueError(f"{path} is no ONNX file: {error}") from error
    return {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
