"""Layers of VGG networks: their names, by which a recipe says what is compared, and sizes."""

from collections.abc import Collection
from itertools import pairwise

from workers.runtime.vgg16 import WIDTHS
from workers.style.fields import Network

# Convolutions of each stage (Simonyan and Zisserman, 2015, configurations D and E).
DEPTHS: dict[Network, tuple[int, ...]] = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}


def list_layers(network: Network) -> tuple[str, ...]:
    """conv1_1, relu1_1, conv1_2, relu1_2, pool1, conv2_1, ... pool5: in the order they run."""
    names: list[str] = []
    for stage, depth in enumerate(DEPTHS[network], start=1):
        for place in range(1, depth + 1):
            names += [f"conv{stage}_{place}", f"relu{stage}_{place}"]
        names.append(f"pool{stage}")
    return tuple(names)


def check_layers(network: Network, names: Collection[str]) -> None:
    """Raises ValueError that tells which name the network has no layer of, and what it has."""
    known = list_layers(network)
    for name in names:
        if name not in known:
            raise ValueError(f"{network} has no layer {name!r}. It has {', '.join(known)}.")


def count_features(layers: tuple[str, ...], network: Network = "vgg16") -> float:
    """The numbers that a network makes of each pixel, down to the deepest of these layers."""
    return sum((WIDTHS[stage] / 4**stage for stage in _list_stages(layers, network)), 0.0)


def count_maps(layer: str) -> float:
    """The numbers that a layer itself makes of each pixel."""
    stage = int(layer[4])
    return WIDTHS[stage - 1] / 4.0 ** (stage if layer.startswith("pool") else stage - 1)


def count_filters(layers: tuple[str, ...], network: Network = "vgg16") -> list[int]:
    """Of each convolution, down to the deepest of these layers; each has 3 x 3 weights."""
    widths = [3, *(WIDTHS[stage] for stage in _list_stages(layers, network))]
    return [before * after for before, after in pairwise(widths)]


def _list_stages(layers: tuple[str, ...], network: Network) -> list[int]:
    """From 0, of each convolution down to the deepest of these layers."""
    known = list_layers(network)
    passed = known[: max(map(known.index, layers)) + 1]
    return [int(name.removeprefix("conv")[0]) - 1 for name in passed if name.startswith("conv")]
