"""Reads Darknet's weights format: a short header, then every layer's floats in network order."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from workers.detect.model import ConvBlock, YoloV3Tiny


def load_darknet(network: YoloV3Tiny, path: Path) -> None:
    """Fill a network from a Darknet file; raises ValueError if the sizes differ."""
    floats = read_floats(path)
    wanted = list(tensors_in_file_order(network))
    total = sum(tensor.numel() for tensor in wanted)
    if floats.numel() != total:
        raise ValueError(f"{path} has {floats.numel()} numbers, the network needs {total}")
    with torch.no_grad():
        for tensor in wanted:
            tensor.copy_(floats[: tensor.numel()].view_as(tensor))
            floats = floats[tensor.numel() :]


def read_floats(path: Path) -> Tensor:
    """Every number behind the header, (N,)."""
    content = path.read_bytes()
    major, minor, _ = np.frombuffer(content, "<i4", count=3)
    seen = 8 if major * 10 + minor >= 2 else 4  # bytes of the count of pictures trained on
    return torch.from_numpy(np.frombuffer(content, "<f4", offset=12 + seen).copy())


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
