"""Trains an FCN on pictures and masks: `python -m workers.segment.train --data DIR --out DIR`."""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from shared.settings import CHECKPOINT_EVERY
from workers.runtime.checkpoints import CHECKPOINT
from workers.runtime.reporting import REPORT_EVERY
from workers.runtime.training import run_through
from workers.segment.labelled import LabelledPictures
from workers.segment.train_options import Progress, Trained, TrainOptions
from workers.segment.training import CPU, Training


def train(
    options: TrainOptions,
    data: LabelledPictures,
    report: Callable[[Progress], None],
    checkpoint_dir: Path,
    device: torch.device = CPU,
    encoder: Mapping[str, Tensor] | None = None,
    report_every: float = REPORT_EVERY,
    save_every: float = CHECKPOINT_EVERY,
) -> Trained:
    """Learn from `data`, going on from the checkpoint in the folder if there is one.

    With an `encoder`, the state dict of `FCN.encoder`, the network starts with it. The same
    options and data give the same weights, bit for bit on a CPU, even if it was stopped and
    resumed: chance depends on the seed, the epoch and the picture. `report` may raise to stop it.
    Under torchrun the processes share each batch, and only the first one reports and saves.
    Raises Diverged, UnusableCheckpoint, also for one of other options or data, and ValueError for
    data without classes to learn, a batch that cannot be shared or a network of other classes.
    """
    training = Training(options, data, checkpoint_dir / CHECKPOINT, device, encoder)
    return run_through(training, report, report_every, save_every)


if __name__ == "__main__":
    from workers.segment.train_command import main

    main()
