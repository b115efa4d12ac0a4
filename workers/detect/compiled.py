"""Networks translated to machine code by torch.compile."""

import numpy as np
import torch
from torch import nn

from workers.detect.process import stack


class NotCompiled(RuntimeError):
    """What torch needs to compile a network is not there."""


def compile_network(network: nn.Module, side: int, backend: str = "inductor") -> None:
    """Compile its call in place, for one square and for any other number of them.

    Of the backends of torch.compile only inductor makes machine code.

    Takes minutes the first time; torch keeps what it made in TORCHINDUCTOR_CACHE_DIR. Copies of the
    network are not compiled. Raises NotCompiled.
    """
    network.compile(dynamic=True, backend=backend)
    device = next(network.parameters()).device
    square = np.zeros((side, side, 3), np.uint8)
    try:
        with torch.inference_mode():
            for count in (1, 2):  # torch makes code of its own for one
                network(stack([square] * count, device))
    except RuntimeError as error:
        raise NotCompiled(
            "ATELIER_COMPILE is set, and torch.compile failed: install a C++ compiler (the package "
            "g++) or unset ATELIER_COMPILE. If an earlier start was interrupted, delete the folder "
            f"TORCHINDUCTOR_CACHE_DIR, by default torchinductor_USER in /tmp. {error}"
        ) from error
