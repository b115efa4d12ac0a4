"""What a training takes of the memory."""

import pytest
import torch
from torch import nn

from workers.runtime import memory
from workers.runtime.run import TooLarge
from workers.runtime.training_memory import Numbers, count_numbers, refuse_training


def make() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU(inplace=True), nn.Conv2d(2, 1, 1))


def make_frozen() -> nn.Sequential:
    network = make()
    network[0].requires_grad_(False)
    return network


def test_weights_and_outputs_are_counted_and_the_largest_layer():
    # 3 x 2 + 2 and 2 x 1 + 1 weights; 2 and 1 maps of 4 x 5; the first reads 3 and makes 2
    assert count_numbers(make, 4, 5) == Numbers(weights=11, outputs=60, layer=100)


def test_frozen_layers_keep_nothing_for_gradients():
    assert count_numbers(make_frozen, 4, 5) == Numbers(weights=11, outputs=20, layer=100)


def test_on_a_gpu_the_machines_own_memory_is_told_apart(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memory, "find_memory", lambda: 4 * 2**30)
    refuse_training(3 * 2**30, torch.device("cuda"), "less.")
    with pytest.raises(TooLarge, match=r"^Training would take"):
        refuse_training(4 * 2**30, torch.device("cpu"), "less.")
    with pytest.raises(TooLarge, match=r"^Training, beside the memory of its GPU, would take"):
        refuse_training(4 * 2**30, torch.device("cuda"), "less.")
