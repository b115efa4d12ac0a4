"""Reads Darknet's weights format: a short header, then every layer's floats in network order."""

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from workers.detect.model import ConvBlock, YoloV3Tiny


def load_darknet(network: YoloV3Tiny, path: Path) -> None:
    """Fill a network from a Darknet file.

    Raises ValueError if it is none, has another size, or numbers that are not finite.
    """
    wanted = list(tensors_in_file_order(network))
    total = sum(tensor.numel() for tensor in wanted)
    count = count_floats(path)
    if count != total:
        raise ValueError(f"{path} has {count} numbers, the network needs {total}")
    floats = read_floats(path)
    if not floats.isfinite().all():  # folding could hide them: a scale over an infinite variance
        raise ValueError(f"{path} has numbers that are not finite")
    with torch.no_grad():
        for tensor in wanted:
            tensor.copy_(floats[: tensor.numel()].view_as(tensor))
            floats = floats[tensor.numel() :]


def count_floats(path: Path) -> int:
    """How many numbers are behind the header. Raises ValueError."""
    rest = path.stat().st_size - measure_header(path)
    if rest < 0 or rest % 4:
        raise ValueError(f"{path} does not hold whole numbers of four bytes behind its header")
    return rest // 4


def read_floats(path: Path) -> Tensor:
    """Every number behind the header, (N,). Raises ValueError."""
    return torch.from_numpy(np.fromfile(path, "<f4", offset=measure_header(path)))


def measure_header(path: Path) -> int:
    """Bytes of the version, and of the count of pictures trained on. Raises ValueError."""
    with path.open("rb") as file:
        start = file.read(12)
    if len(start) < 12:
        raise ValueError(f"{path} is too short for a Darknet file")
    major, minor, _ = struct.unpack("<iii", start)
    return 12 + (8 if major * 10 + minor >= 2 and max(major, minor) < 1000 else 4)


def tensors_in_file_order(network: YoloV3Tiny) -> Iterator[Tensor]:
    blocks: list[nn.Module] = [*network.trunk, network.deep, network.wide, network.narrow]
    for layer in [*blocks, *network.coarse, network.lateral, *network.fine]:
        yield from _layer_tensors(layer)


def _layer_tensors(layer: nn.Module) -> Iterator[Tensor]:
    if isinstance(layer, nn.Conv2d):
        assert layer.bias is not None
        yield from (layer.bias, layer.weight)
    elif isinstance(layer, ConvBlock) and isinstance(layer.norm, nn.BatchNorm2d):
        norm = layer.norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        yield from (norm.bias, norm.weight, norm.running_mean, norm.running_var)
        yield layer.conv.weight
    else:
        raise TypeError(f"Darknet files have no {type(layer).__name__}; fuse after loading")
