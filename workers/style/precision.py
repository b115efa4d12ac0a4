"""How exactly a network computes: half as many bits where the hardware is faster with them."""

import time
from functools import lru_cache
from typing import Literal

import torch

from workers.style.convolution import FrozenLayer
from workers.style.fields import Precision
from workers.style.stops import ignore

CLEARLY = 1.3  # times as fast: for less, nobody should lose digits
CHANNELS = 128
CPU_SIDE, GPU_SIDE = 64, 512  # of the maps that are tried: some milliseconds
TRIES = 3


def choose_precision(asked: Literal["auto", Precision], device: torch.device) -> Precision:
    """auto: bfloat16 if it is clearly faster on this device."""
    if asked != "auto":
        return asked
    return "bfloat16" if is_bfloat16_faster(device) else "float32"


@lru_cache
def is_bfloat16_faster(device: torch.device) -> bool:
    """Clearly, for a convolution; it is measured once in a process."""
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return False
    return time_convolution("float32", device) > CLEARLY * time_convolution("bfloat16", device)


@torch.inference_mode()
def time_convolution(precision: Precision, device: torch.device) -> float:
    """Seconds that a convolution as in VGG's second stage takes, the shortest of some tries."""
    side = CPU_SIDE if device.type == "cpu" else GPU_SIDE
    layer = FrozenLayer(
        torch.zeros(CHANNELS, CHANNELS, 3, 3, device=device), torch.zeros(CHANNELS, device=device)
    )
    maps = torch.zeros(1, CHANNELS, side, side, device=device, dtype=getattr(torch, precision)).to(
        memory_format=torch.channels_last
    )
    times: list[float] = []
    for _ in range(1 + TRIES):  # the first also prepares the filters
        start = time.perf_counter()
        layer.convolve(maps, True, ignore)[0, 0, 0, 0].item()  # waits for the device
        times.append(time.perf_counter() - start)
    return min(times)
