"""Reads the weights of the selfie network as they are published: a model of TensorFlow.js."""

import itertools
import re
from pathlib import Path

from torch import Tensor, nn

from shared.weights import locate
from workers.runtime.tfjs import by_number, fill, read_tfjs
from workers.segment.selfie import Selfie


def load_selfie(folder: Path) -> Selfie:
    """The network with its published weights, on the CPU, ready for inference.

    Raises MissingWeights or DamagedWeights if its files in the folder are not there or not intact.
    """
    network = Selfie()
    fill_selfie(network, locate("selfie.json", folder), locate("selfie.bin", folder))
    return network.eval()


def fill_selfie(network: Selfie, model: Path, weights: Path) -> None:
    """Fill a network from its JSON and its weights; raises ValueError if they hold another one.

    The kernels and the biases of each kind of convolution are numbered in the order in which
    they run. A depthwise kernel is stored as (height, width, channels, 1), the transposed one as
    (height, width, outputs, inputs).
    """
    tensors = read_tfjs(model, weights)
    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    plain = [layer for layer in convolutions if layer.groups == 1]
    depthwise = [layer for layer in convolutions if layer.groups > 1]
    kinds = (  # layers, names of kernels and biases, and the axes of a kernel in torch's order
        (plain, r"Conv2D(?:_(\d+))?/filter", r"conv2d(?:_(\d+))?_1/y", (3, 2, 0, 1)),
        (
            depthwise,
            r"depthwise(?:_(\d+))?/filter_in",
            r"depthwise_conv2d(?:_(\d+))?/y",
            (2, 3, 0, 1),
        ),
        ([network.score], r"segment(?:_(\d+))?/filter", r"segment_add(?:_(\d+))?/y", (3, 2, 0, 1)),
    )
    wanted: list[nn.Parameter] = []
    found: list[Tensor] = []
    for layers, kernel, bias, axes in kinds:
        wanted += [parameter for layer in layers for parameter in layer.parameters()]
        kernels = [one.permute(axes) for one in by_number(tensors, re.compile(kernel))]
        biases = by_number(tensors, re.compile(bias))
        found += itertools.chain.from_iterable(zip(kernels, biases, strict=False))
    fill(wanted, found, model)
