"""Where a worker's networks run."""

import torch


def choose_device(wanted: str) -> torch.device:
    """`auto` is the first CUDA device, or the CPU where there is none."""
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(wanted)
