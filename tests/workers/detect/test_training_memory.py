"""What a training may take of the memory."""

import pytest
import torch

from workers.detect.train_options import TrainOptions
from workers.detect.training_memory import check_memory
from workers.detect.yolo import Yolo
from workers.detect.yolo_config import YoloConfig
from workers.runtime import memory
from workers.runtime.run import TooLarge
from workers.runtime.training_memory import Numbers, count_numbers

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
SMALL = YoloConfig("small", classes=2, side=64, grid=4)


def count(config: YoloConfig) -> Numbers:
    return count_numbers(lambda: Yolo(config), config.side, config.side)


def test_outputs_are_counted_for_a_picture():
    numbers = count(SMALL)
    assert numbers.outputs > numbers.layer
    assert numbers.layer == 2 * 64 * 64 * 16  # the normalisation of the first convolution


def test_yolo_v1_has_the_weights_of_the_paper():
    weights = count(YoloConfig()).weights
    assert weights == pytest.approx(271.7e6, rel=1e-3)  # Darknet's file has 271,703,550


@pytest.mark.parametrize(
    ("change", "device", "fits"),
    [
        ({}, CPU, True),
        ({"batch": 512}, CPU, False),
        ({"batch": 512, "parts": 64}, CPU, True),
        ({"network": YoloConfig()}, CPU, False),
        ({"batch": 512}, CUDA, True),
        ({"network": YoloConfig()}, CUDA, False),
    ],
    ids=["small", "batch", "parts", "weights", "gpu", "host"],
)
def test_what_does_not_fit_is_refused(monkeypatch, change, device, fits):
    monkeypatch.setattr(memory, "find_memory", lambda: 6 * 2**30)
    options = TrainOptions(**{"network": YoloConfig("small", 2, 224, 14), **change})
    if fits:
        check_memory(options, 1000, device)
    else:
        with pytest.raises(TooLarge, match=r"more than the 4\.5 GB .* smaller `preset`"):
            check_memory(options, 1000, device)


@pytest.mark.parametrize(("allowed", "fits"), [(500, False), (700, True)])
def test_what_looking_at_held_out_pictures_takes_is_counted(monkeypatch, allowed, fits):
    # a step of one picture takes 370 MB, four pictures looked at together 590 MB
    monkeypatch.setattr(memory, "find_memory", lambda: allowed * 2**20 / 0.75)
    options = TrainOptions(YoloConfig("small", 2, 896, 56, boxes=10), batch=1)
    if fits:
        check_memory(options, 1, CPU)
    else:
        with pytest.raises(TooLarge, match=r"0\.6 GB"):
            check_memory(options, 1, CPU)


def test_beside_a_gpu_only_the_host_is_looked_at(monkeypatch):
    monkeypatch.setattr(memory, "find_memory", lambda: 2**30)
    with pytest.raises(TooLarge, match=r"beside the memory of its GPU.* or fewer pictures"):
        check_memory(TrainOptions(YoloConfig("small", 2, 448, 14)), 10_000, CUDA)
