"""What a training may take of the memory."""

from pathlib import Path

import pytest
import torch

from workers.detect import training_memory
from workers.detect.train_options import TrainOptions
from workers.detect.training_memory import check_memory, count_numbers, find_memory
from workers.detect.yolo_config import YoloConfig
from workers.runtime.run import TooLarge

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
SMALL = YoloConfig("small", classes=2, side=64, grid=4)


def test_outputs_are_counted_for_each_picture():
    weights, one = count_numbers(SMALL, 1)
    assert count_numbers(SMALL, 5) == (weights, 5 * one)
    assert one > 2 * 64 * 64 * 16  # the first convolution and its normalisation


def test_yolo_v1_has_the_weights_of_the_paper():
    weights, _ = count_numbers(YoloConfig(), 1)
    assert weights == pytest.approx(271.7e6, rel=1e-3)  # Darknet's file has 271,703,550


@pytest.mark.parametrize(
    ("change", "device", "fits"),
    [
        ({}, CPU, True),
        ({"batch": 512}, CPU, False),
        ({"batch": 512, "parts": 64}, CPU, True),
        ({"batch": 512}, CUDA, True),
        ({"network": YoloConfig()}, CUDA, False),
    ],
    ids=["small", "batch", "parts", "gpu", "weights"],
)
def test_what_does_not_fit_is_refused(monkeypatch, change, device, fits):
    monkeypatch.setattr(training_memory, "find_memory", lambda: 6 * 2**30)
    options = TrainOptions(**{"network": YoloConfig("small", 2, 224, 14), **change})
    if fits:
        check_memory(options, 1000, device)
    else:
        with pytest.raises(TooLarge, match=r"more than the 4\.5 GB .* `batch_size`"):
            check_memory(options, 1000, device)


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
