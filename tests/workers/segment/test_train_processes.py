"""Several processes train one network."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from tests.workers.segment.coloured import make_pictures
from workers.runtime.tensors import read_tensors
from workers.segment.fcn_config import FcnConfig
from workers.segment.train_options import TrainOptions
from workers.segment.training import Training

SHARED = TrainOptions(
    FcnConfig(3, "thin", 16, fc6_padding=1), window=(64, 64), epochs=1, batch=8, balanced=True
)

HALF = """
import sys
from pathlib import Path
import torch
from torch import distributed
from tests.workers.segment.test_train_processes import SHARED, run
from workers.runtime.tensors import write_tensors

torch.set_num_threads(1)
folder, rank = Path(sys.argv[1]), int(sys.argv[2])
distributed.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=2)
gradients, history = run(SHARED)
write_tensors(folder / str(rank), gradients, {"history": history})
distributed.destroy_process_group()
"""


def run(options: TrainOptions) -> tuple[dict[str, torch.Tensor], list[list[float]]]:
    """The gradients of a step, and the losses and looks of both stages."""
    training = Training(options, make_pictures(10), Path("unused"))
    training.network.score.weight.data.fill_(0.01)  # else the layers before it learn nothing
    training.network.score.weight.data[1] *= -1
    training.advance()
    learned = [(name, one.grad) for name, one in training.network.named_parameters()]
    gradients = {name: grad.clone() for name, grad in learned if grad is not None}
    while not training.is_over():
        if training.has_seen_all():
            training.end_epoch(lambda: None)
        else:
            training.advance()
    history = [[epoch.loss, epoch.mean_iou] for epoch in training.history]
    return gradients, history


def test_two_processes_have_the_gradients_of_one_that_takes_a_batch_in_two_parts(tmp_path):
    root = Path(__file__).parents[3]
    halves = [
        subprocess.Popen([sys.executable, "-c", HALF, str(tmp_path), str(rank)], cwd=root)
        for rank in range(2)
    ]
    assert [half.wait(200) for half in halves] == [0, 0]
    expected, history = run(replace(SHARED, parts=2))
    assert len(history) == 2
    for rank in range(2):
        found, about = read_tensors(tmp_path / str(rank))
        assert np.allclose(about["history"][0][0], history[0][0], rtol=1e-2)
        assert found.keys() == expected.keys()
        for name, gradient in expected.items():
            largest = gradient.abs().max().item()
            assert largest > 0
            assert torch.allclose(found[name], gradient, atol=1e-3 * largest, rtol=1e-3), name
    both = [read_tensors(tmp_path / str(rank))[1]["history"] for rank in range(2)]
    assert both[0] == both[1]
