"""Trains a network of one style: `python -m workers.style.train --style FILE --data DIR ...`."""

from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image

from shared.settings import CHECKPOINT_EVERY
from workers.runtime.checkpoints import CHECKPOINT
from workers.runtime.reporting import REPORT_EVERY
from workers.runtime.training import run_through
from workers.style.contents import Contents
from workers.style.features import Features
from workers.style.one_pass_training import CPU, Training
from workers.style.train_options import Progress, Trained, TrainOptions


def train(
    options: TrainOptions,
    style: Image.Image,
    data: Contents,
    features: Features,
    report: Callable[[Progress], None],
    checkpoint_dir: Path,
    device: torch.device = CPU,
    report_every: float = REPORT_EVERY,
    save_every: float = CHECKPOINT_EVERY,
) -> Trained:
    """Learn to paint `data` like the RGB `style`, going on from the folder's checkpoint if any.

    The same options and data give the same weights, bit for bit on a CPU, even if it was stopped
    and resumed: chance depends on the seed, the step and the place of a square in it. `report` may
    raise to stop it. Under torchrun the processes share each batch, and only the first one reports
    and saves. Raises Diverged; UnusableCheckpoint, also for one of other options, style or data;
    ValueError for a batch that cannot be shared.
    """
    training = Training(options, style, data, features, checkpoint_dir / CHECKPOINT, device)
    return run_through(training, report, report_every, save_every)


if __name__ == "__main__":
    from workers.style.train_command import main

    main()
