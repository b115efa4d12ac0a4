"""Reads weights that are published as a model in the format of TensorFlow.js."""

import itertools
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

DTYPES = {"float16": "<f2", "float32": "<f4", "int32": "<i4"}


def read_tfjs(model: Path, weights: Path) -> dict[str, Tensor]:
    """Every constant of a model by its name; raises ValueError if the two files do not fit.

    The JSON lists names, shapes and types, the other file has the numbers one after the other.
    Half precision is widened to the type that the model computes with. A kernel is stored as
    (height, width, inputs, outputs).
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


def by_number(tensors: Mapping[str, Tensor], name: re.Pattern[str]) -> list[Tensor]:
    """The parameters with such a name, by the number in it; without one it is the first."""
    found = {
        int(match[1] or 0): tensor
        for key, tensor in tensors.items()
        if (match := name.fullmatch(key)) and tensor.is_floating_point()  # not a shape
    }
    return [found[number] for number in sorted(found)]


def fill(parameters: Sequence[nn.Parameter], tensors: Sequence[Tensor], model: Path) -> None:
    """Give each parameter its numbers; raises ValueError if the model is of another network."""
    if [tensor.shape for tensor in tensors] != [parameter.shape for parameter in parameters]:
        raise ValueError(f"{model} holds another network.")
    with torch.no_grad():
        for parameter, tensor in zip(parameters, tensors, strict=True):
            parameter.copy_(tensor)
