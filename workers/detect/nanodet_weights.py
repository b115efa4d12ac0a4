"""Reads NanoDet's weights as they are published: a model in the format of TensorFlow.js."""

import itertools
import re
from pathlib import Path

from workers.detect.nanodet import NanoDet
from workers.runtime.tfjs import by_number, fill, read_tfjs

KERNEL = re.compile(r"PartitionedCall/split(?:_(\d+))?")
BIAS = re.compile(r"unknown_(\d+)")


def load_nanodet(network: NanoDet, model: Path, weights: Path) -> None:
    """Fill a network from its JSON and its weights; raises ValueError if they hold another one.

    The kernels, and the biases, are numbered in the order in which the convolutions run. The
    first kernel is for blue, green, red.
    """
    tensors = read_tfjs(model, weights)
    kernels = [kernel.permute(3, 2, 0, 1) for kernel in by_number(tensors, KERNEL)]
    pairs = zip(kernels, by_number(tensors, BIAS), strict=False)
    found = list(itertools.chain.from_iterable(pairs))
    found[:1] = [kernel.flip(1) for kernel in found[:1]]  # the network takes red, green, blue
    # of each convolution the kernel, then the bias
    fill(list(network.parameters()), found, model)
