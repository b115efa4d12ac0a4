"""Several processes train one network."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import distributed

from tests.workers.style.desk import draw_noise, draw_scene, draw_stripes
from tests.workers.style.networks import draw_features
from tests.workers.style.small_trainings import SMALL, make_contents
from workers.runtime.tensors import read_tensors
from workers.style.one_pass_training import Training

HALF = """
import sys
from pathlib import Path
import torch
from torch import distributed
from tests.workers.style.test_train_processes import run
from workers.runtime.tensors import write_tensors

torch.set_num_threads(1)
folder, rank = Path(sys.argv[1]), int(sys.argv[2])
distributed.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=2)
gradients, losses = run()
write_tensors(folder / str(rank), gradients, {"losses": losses})
distributed.destroy_process_group()
"""


def make_training() -> Training:
    data = make_contents(draw_scene(), draw_noise())
    return Training(SMALL, draw_stripes(), data, draw_features(), Path("unused"))


def run() -> tuple[dict[str, torch.Tensor], list[float]]:
    """The gradients and the losses of a step."""
    training = make_training()
    training.advance()
    gradients = {
        name: one.grad.clone()
        for name, one in training.network.named_parameters()
        if one.grad is not None
    }
    return gradients, training.sums.tolist()


def test_two_processes_have_the_gradients_of_one(tmp_path):
    root = Path(__file__).parents[3]
    halves = [
        subprocess.Popen([sys.executable, "-c", HALF, str(tmp_path), str(rank)], cwd=root)
        for rank in range(2)
    ]
    assert [half.wait(200) for half in halves] == [0, 0]
    expected, losses = run()
    largest = max(one.abs().max().item() for one in expected.values())
    for rank in range(2):
        found, about = read_tensors(tmp_path / str(rank))
        assert np.allclose(about["losses"], losses, rtol=1e-4)
        assert found.keys() == expected.keys()
        for name, gradient in expected.items():
            assert torch.allclose(found[name], gradient, atol=1e-4 * largest, rtol=1e-3), name


def test_more_processes_than_squares_are_refused(monkeypatch):
    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "get_rank", lambda: 0)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 3)
    with pytest.raises(ValueError, match="3 processes cannot share 2 squares"):
        make_training()
