"""What a training takes of the memory, and what there is."""

from pathlib import Path

import pytest
import torch
from torch import nn

from workers.runtime import training_memory
from workers.runtime.run import TooLarge
from workers.runtime.training_memory import Numbers, count_numbers, find_memory, refuse_beyond


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


def test_more_than_may_be_used_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(training_memory, "find_memory", lambda: 4 * 2**30)
    refuse_beyond(3 * 2**30, torch.device("cpu"), "less.")
    with pytest.raises(TooLarge, match=r"4\.0 GB of memory, more than the 3\.0 GB .*: less\.$"):
        refuse_beyond(4 * 2**30, torch.device("cpu"), "less.")
    with pytest.raises(TooLarge, match="beside that of its GPU"):
        refuse_beyond(4 * 2**30, torch.device("cuda"), "less.")


def test_a_container_may_have_less_than_the_machine(monkeypatch, tmp_path: Path):
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(training_memory, "CONTAINER", limit)
    machine = find_memory()
    limit.write_text("max\n")
    assert find_memory() == machine
    limit.write_text("1048576\n")
    assert find_memory() == 2**20
    limit.write_text(f"{2**60}\n")
    assert find_memory() == machine
