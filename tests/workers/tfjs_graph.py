"""Runs a published TensorFlow.js graph node by node, to compare a network with its original."""

import base64
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from workers.runtime.tfjs import read_tfjs

Attributes = dict[str, Any]


def run_graph(model: Path, weights: Path, x: Tensor) -> dict[str, Tensor]:
    """The outputs by name for the one input, in its precision."""
    values: dict[str, Tensor] = {
        name: tensor.to(x.dtype) if tensor.is_floating_point() else tensor
        for name, tensor in read_tfjs(model, weights).items()
    }
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
    x, kernel = inputs
    x, stride = pad_for(x, kernel.shape[:2], attributes), attributes["strides"][1]
    return of_channels(F.conv2d(by_channels(x), kernel.permute(3, 2, 0, 1), stride=stride))


def convolve_depthwise(inputs: list[Tensor], attributes: Attributes) -> Tensor:
    x, kernel = inputs  # kernel: (height, width, channels, 1)
    x, stride = pad_for(x, kernel.shape[:2], attributes), attributes["strides"][1]
    apart = kernel.permute(2, 3, 0, 1)
    return of_channels(F.conv2d(by_channels(x), apart, stride=stride, groups=len(apart)))


def enlarge(inputs: list[Tensor], attributes: Attributes) -> Tensor:
    """A transposed convolution whose windows lie side by side, by the definition."""
    size, kernel, x = inputs  # kernel: (height, width, outputs, inputs)
    assert attributes["strides"][1:3] == list(kernel.shape[:2])
    windows = torch.einsum("nhwi,aboi->nhawbo", x, kernel)
    return windows.reshape(len(x), *size.tolist()[1:])


def pool_largest(inputs: list[Tensor], attributes: Attributes) -> Tensor:
    assert attributes["padding"] == "VALID"
    size, stride = attributes["ksize"][1], attributes["strides"][1]
    return of_channels(F.max_pool2d(by_channels(inputs[0]), size, stride))


def pool_average(inputs: list[Tensor], attributes: Attributes) -> Tensor:
    assert attributes["padding"] == "VALID"
    size, stride = attributes["ksize"][1], attributes["strides"][1]
    return of_channels(F.avg_pool2d(by_channels(inputs[0]), size, stride))


def pad_for(x: Tensor, kernel: Sequence[int], attributes: Attributes) -> Tensor:
    """As the graph says: not at all, or so that 1 / stride of the size comes out."""
    if attributes["padding"] == "VALID":
        return x
    pairs = [0, 0]  # torch: last axis first
    for axis in (2, 1):
        there, stride = x.shape[axis], attributes["strides"][axis]
        wanted = -(-there // stride)
        missing = max((wanted - 1) * stride + kernel[axis - 1] - there, 0)
        pairs += [missing // 2, missing - missing // 2]
    return F.pad(x, pairs)


def by_channels(x: Tensor) -> Tensor:
    return x.permute(0, 3, 1, 2)


def of_channels(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1)


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
        place = ((torch.arange(wanted, dtype=x.dtype) + 0.5) * there / wanted - 0.5).clamp(
            0, there - 1
        )
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
    "AddN": lambda inputs, _: sum(inputs[1:], start=inputs[0]),
    "AddV2": lambda inputs, _: inputs[0] + inputs[1],
    "AvgPool": pool_average,
    "ConcatV2": lambda inputs, _: torch.cat(inputs[:-1], int(inputs[-1])),
    "Conv2D": convolve,
    "Conv2DBackpropInput": enlarge,
    "DepthwiseConv2dNative": convolve_depthwise,
    "Identity": lambda inputs, _: inputs[0],
    "LeakyRelu": lambda inputs, attributes: F.leaky_relu(inputs[0], attributes["alpha"]),
    "MaxPool": pool_largest,
    "Mul": lambda inputs, _: inputs[0] * inputs[1],
    "Pad": pad,
    "PadV2": pad,
    "Relu": lambda inputs, _: inputs[0].clamp(min=0),
    "Relu6": lambda inputs, _: inputs[0].clamp(0, 6),
    "Reshape": lambda inputs, _: inputs[0].reshape(inputs[1].tolist()),
    "ResizeBilinear": resize,
    "Sigmoid": lambda inputs, _: inputs[0].sigmoid(),
    "SparseToDense": fill,
    "SplitV": lambda inputs, _: inputs[0].split(inputs[1].tolist(), int(inputs[2])),
    "Transpose": lambda inputs, _: inputs[0].permute(inputs[1].tolist()),
}
