"""Training by several processes that torchrun started, or by one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import distributed


@contextmanager
def join_others(threads: int = 1) -> Iterator[bool]:
    """Take part in the training of the others, if there are any; whether this is the first."""
    torch.set_num_threads(threads)
    if "RANK" not in os.environ:
        yield True
        return
    distributed.init_process_group()
    try:
        yield distributed.get_rank() == 0
    finally:
        distributed.destroy_process_group()


def choose_own_device() -> torch.device:
    """The CUDA device of this process, or the CPU where there is none."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.getenv("LOCAL_RANK", "0")))
