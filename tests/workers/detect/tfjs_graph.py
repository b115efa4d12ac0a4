"""Runs a published TensorFlow.js graph node by node, to compare a network with its original."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from workers.detect.nanodet_weights import read_tfjs

Attributes = dict[str, Any]


def run_graph(model: Path, weights: Path, x: Tensor) -> dict[str, Tensor]:
    """The outputs by name for the one input."""
    values: dict[str, Tensor] = dict(read_tfjs(model, weights))
    description = json.loads(model.read_bytes())
    for node in description["modelTopology"]["node"]:  # each after its inputs
        name = node["name"]
        if node["op"] == "Placeholder":
            values[name] = x
        elif node["op"] != "Const":
            inputs = [values[key] for key in node["input"]]
            answer = OPERATIONS[node["op"]](inputs, read_attributes(node))
            parts = answer if isinstance(answer, tuple) else (answer,)
            values |= {f"{name}:{number}": part for number, part in enumerate(parts)}
            values[name] = parts[0]
    return {name: values[name] for name in description["signature"]["outputs"]}


def read_attributes(node: dict[str, Any]) -> Attributes:
    return {name: read_attribute(value) for name, value in node.get("attr", {}).items()}


def read_attribute(value: dict[str, Any]) -> Any:
    """Numbers, flags, words and lists of whole numbers; anything else is of no use here."""
    if "s" in value:
        return base64.b64decode(value["s"]).decode()
    if "list" in value:
        return [int(number) for number in value["list"].get("i", [])]
    return next(iter(value.values()), None)


def convolve(inputs: list[Tensor], attributes: Attributes) -> Tensor:
    assert attributes["padding"] == "VALID"  # the graph pads before
    x, kernel = inputs
    stride = attributes["strides"][1]
    y = F.conv2d(x.permute(0, 3, 1, 2), kernel.permute(3, 2, 0, 1), stride=stride)
    return y.permute(0, 2, 3, 1)


def pool(inputs: list[Tensor], attributes: Attributes) -> Tensor:
    assert attributes["padding"] == "VALID"
    size, stride = attributes["ksize"][1], attributes["strides"][1]
    return F.max_pool2d(inputs[0].permute(0, 3, 1, 2), size, stride).permute(0, 2, 3, 1)


def pad(inputs: list[Tensor], _: Attributes) -> Tensor:
    x, widths, *value = inputs
    pairs = [pair for axis in reversed(widths.tolist()) for pair in axis]  # torch: last axis first
    return F.pad(x, pairs, value=value[0].item() if value else 0.0)


def resize(inputs: list[Tensor], attributes: Attributes) -> Tensor:
    """Bilinear, by the definition: a weighted mean of the four pixels around each point."""
    assert attributes["half_pixel_centers"]
    assert not attributes["align_corners"]
    x, size = inputs
    for axis, wanted in zip((1, 2), size.tolist(), strict=True):
        there = x.shape[axis]
        place = ((torch.arange(wanted) + 0.5) * there / wanted - 0.5).clamp(0, there - 1)
        before = place.floor().long()
        behind = (before + 1).clamp(max=there - 1)
        share = (place - before).view(-1, *(1,) * (3 - axis))
        x = x.index_select(axis, before) * (1 - share) + x.index_select(axis, behind) * share
    return x


def fill(inputs: list[Tensor], _: Attributes) -> Tensor:
    places, shape, _values, default = inputs
    assert len(places) == 0
    return torch.full(shape.tolist(), default.item(), dtype=default.dtype)


OPERATIONS: dict[str, Callable[[list[Tensor], Attributes], Tensor | tuple[Tensor, ...]]] = {
    "Add": lambda inputs, _: inputs[0] + inputs[1],
    "AddV2": lambda inputs, _: inputs[0] + inputs[1],
    "ConcatV2": lambda inputs, _: torch.cat(inputs[:-1], int(inputs[-1])),
    "Conv2D": convolve,
    "Identity": lambda inputs, _: inputs[0],
    "LeakyRelu": lambda inputs, attributes: F.leaky_relu(inputs[0], attributes["alpha"]),
    "MaxPool": pool,
    "Pad": pad,
    "PadV2": pad,
    "Reshape": lambda inputs, _: inputs[0].reshape(inputs[1].tolist()),
    "ResizeBilinear": resize,
    "Sigmoid": lambda inputs, _: inputs[0].sigmoid(),
    "SparseToDense": fill,
    "SplitV": lambda inputs, _: inputs[0].split(inputs[1].tolist(), int(inputs[2])),
    "Transpose": lambda inputs, _: inputs[0].permute(inputs[1].tolist()),
}
