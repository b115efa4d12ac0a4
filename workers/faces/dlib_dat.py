"""Reads the file that dlib serialises its face network to."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from workers.faces.dlib_resnet import DlibResNet

INPUT = b"input_rgb_image_sized"
# How many whole numbers a layer writes before and behind its parameters, by its name in the file.
# A float is two of them, mantissa and exponent; a shape is five, a version and the sizes.
WITH_PARAMETERS = {
    b"con_4": (0, 7 + 2 * 5 + 4 * 2),  # geometry; shapes of filters and biases; learning rates
    b"affine_": (0, 2 * 5 + 1),  # shapes of scales and shifts; a mode
    b"fc_2": (2, 2 * 5 + 1 + 4 * 2),  # outputs and inputs; two shapes; a mode; learning rates
}
WITHOUT_PARAMETERS = {b"relu_": 0, b"add_prev_": 0, b"max_pool_2": 6, b"avg_pool_2": 6}


def load_dlib(network: DlibResNet, path: Path) -> None:
    """Fill a network from dlib_face_recognition_resnet_model_v1.dat.

    The scales and shifts behind each convolution are folded into it. Raises ValueError if the
    file is damaged or holds another network.
    """
    wanted = network.convolutions()
    parameters = list(DlibFile(path.read_bytes()).read())
    found = [len(numbers) for numbers in parameters]
    sizes = [(c.weight.numel() + c.out_channels, 2 * c.out_channels) for c in wanted]
    if found != [*chain.from_iterable(sizes), network.project.weight.numel()]:
        raise ValueError(f"{path} holds another network than dlib's face network")
    with torch.no_grad():
        for number, convolution in enumerate(wanted):
            _fold(convolution, parameters[2 * number], parameters[2 * number + 1])
        network.project.weight.copy_(parameters[-1].view(256, 128).T)  # dlib multiplies from left


def _fold(convolution: nn.Conv2d, parameters: Tensor, affine: Tensor) -> None:
    """Take over filters and biases, then `scale * (filters * x + bias) + shift` at once."""
    assert convolution.bias is not None
    weight, bias = parameters[: -convolution.out_channels], parameters[-convolution.out_channels :]
    scale, shift = affine.chunk(2)
    convolution.weight.copy_(weight.view_as(convolution.weight) * scale.view(-1, 1, 1, 1))
    convolution.bias.copy_(bias * scale + shift)


class DlibFile:
    """dlib/serialize.h and dlib/dnn: layers from the picture on, each after its name."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.place = 0

    def read(self) -> Iterator[Tensor]:
        """The parameters (N,) of each layer that has some; raises ValueError."""
        self._skip_to_first_layer()
        extra = 1  # only the layer next to the input ends with one more number
        while self.place < len(self.content):
            name = self._take(self._integer())
            if name in WITH_PARAMETERS:
                before, behind = WITH_PARAMETERS[name]
                self._skip_integers(before)
                yield self._tensor()
                self._skip_integers(behind)
            elif name in WITHOUT_PARAMETERS:
                self._skip_integers(WITHOUT_PARAMETERS[name])
            else:
                raise ValueError(f"no layer of dlib's face network is called {name!r}")
            self._take(3)  # flags, a character each
            for _ in range(3):  # gradients and the output, which are empty
                self._tensor()
            self._skip_integers(extra)
            extra = 0

    def _skip_to_first_layer(self) -> None:
        """Every layer's format version from the last to the first, then the input's constants."""
        self._skip_integers(1)
        self._take(self._integer())  # the name of the loss
        self._skip_integers(2 * 2)  # its margin and threshold
        while (number := self._integer()) != len(INPUT):
            if number > 3:
                raise ValueError(f"there is no version {number} of a layer")
        if self._take(len(INPUT)) != INPUT:
            raise ValueError("the network does not begin with a picture")
        self._skip_integers(3 * 2 + 2)  # means of red, green, blue; height, width

    def _tensor(self) -> Tensor:
        """A version and four sizes, then little-endian floats, (N,)."""
        version, *sizes = (self._integer() for _ in range(5))
        if version != 2:
            raise ValueError(f"there is no version {version} of a tensor")
        count = int(np.prod(sizes))
        return torch.from_numpy(np.frombuffer(self._take(4 * count), "<f4").copy())

    def _integer(self) -> int:
        """A byte that counts the bytes to come and holds the sign, then these."""
        control = self._take(1)[0]
        size = control & 0x0F
        value = int.from_bytes(self._take(size), "little")
        return -value if control & 0x80 else value

    def _skip_integers(self, count: int) -> None:
        for _ in range(count):
            self._integer()

    def _take(self, count: int) -> bytes:
        part = self.content[self.place : self.place + count]
        if count < 0 or len(part) < count:
            raise ValueError("the file ends too early")
        self.place += count
        return part
