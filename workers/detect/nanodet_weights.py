"""Reads NanoDet's weights as they are published: a model in the format of TensorFlow.js."""

import itertools
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from workers.detect.nanodet import NanoDet

DTYPES = {"float16": "<f2", "float32": "<f4", "int32": "<i4"}
KERNEL = re.compile(r"PartitionedCall/split(?:_(\d+))?")
BIAS = re.compile(r"unknown_(\d+)")


def load_nanodet(network: NanoDet, model: Path, weights: Path) -> None:
    """Fill a network from its JSON and its weights; raises ValueError if they hold another one.

    The kernels, and the biases, are numbered in the order in which the convolutions run. A kernel
    is stored as (height, width, inputs, outputs), the first one for blue, green, red.
    """
    tensors = read_tfjs(model, weights)
    kernels = [kernel.permute(3, 2, 0, 1) for kernel in by_number(tensors, KERNEL)]
    pairs = zip(kernels, by_number(tensors, BIAS), strict=False)
    found = list(itertools.chain.from_iterable(pairs))
    wanted = list(network.parameters())  # of each convolution the kernel, then the bias
    if [tensor.shape for tensor in found] != [parameter.shape for parameter in wanted]:
        raise ValueError(f"{model} holds another network than NanoDet-g of these classes")
    found[0] = found[0].flip(1)  # the network takes red, green, blue
    with torch.no_grad():
        for parameter, tensor in zip(wanted, found, strict=True):
            parameter.copy_(tensor)


def by_number(tensors: Mapping[str, Tensor], name: re.Pattern[str]) -> list[Tensor]:
    """The parameters with such a name, by the number in it; without one it is the first."""
    found = {
        int(match[1] or 0): tensor
        for key, tensor in tensors.items()
        if (match := name.fullmatch(key)) and tensor.is_floating_point()  # not a shape
    }
    return [found[number] for number in sorted(found)]


def read_tfjs(model: Path, weights: Path) -> dict[str, Tensor]:
    """Every constant of a model by its name; raises ValueError if the two files do not fit.

    The JSON lists names, shapes and types, the other file has the numbers one after the other.
    Half precision is widened to the type that the model computes with.
    """
    content = weights.read_bytes()
    manifest = json.loads(model.read_bytes())["weightsManifest"]
    entries = [entry for group in manifest for entry in group["weights"]]
    sizes = [math.prod(entry["shape"]) * stored_type(entry).itemsize for entry in entries]
    if sum(sizes) != len(content):
        raise ValueError(f"{weights} has {len(content)} bytes, {model} lists {sum(sizes)}")
    places = itertools.accumulate(sizes, initial=0)
    tensors = {}
    for entry, size, place in zip(entries, sizes, places, strict=False):
        numbers = np.frombuffer(content[place : place + size], stored_type(entry))
        wide = numbers.astype(DTYPES[entry["dtype"]]).reshape(entry["shape"])
        tensors[entry["name"]] = torch.from_numpy(wide)
    return tensors


def stored_type(entry: Mapping[str, Any]) -> np.dtype[Any]:
    stored = entry.get("quantization", entry)["dtype"]
    if stored not in DTYPES:
        raise ValueError(f"{entry['name']} is stored as {stored}, which is not supported")
    return np.dtype(DTYPES[stored])
