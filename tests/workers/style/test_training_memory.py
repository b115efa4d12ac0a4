"""What the training of a one-pass network may take of the memory."""

from dataclasses import replace

import pytest
import torch

from tests.workers.style.desk import draw_scene
from tests.workers.style.small_trainings import make_contents
from workers.runtime import memory
from workers.runtime.run import TooLarge
from workers.runtime.training_memory import COPIES, count_numbers
from workers.style.contents import Contents
from workers.style.layers import count_features
from workers.style.one_pass import OnePass, OnePassConfig
from workers.style.train_options import TrainOptions
from workers.style.training_memory import (
    check_memory,
    count_kept,
    count_learning,
    count_looking,
)

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
GIB = 2**30
DATA = make_contents(draw_scene())


@pytest.mark.parametrize(
    ("width", "blocks", "window", "deepest", "measured"),
    [
        (32, 5, 192, "relu4_3", 319),
        (64, 5, 192, "relu4_3", 643),
        (8, 1, 256, "relu5_1", 284),
    ],
)
def test_what_a_step_takes_is_what_was_measured(width, blocks, window, deepest, measured):
    """MB at the peak of a step of two squares beyond those before it, of the resident set."""
    options = TrainOptions(
        OnePassConfig(width, blocks), window, batch=2, style_layers=("relu1_2", deepest)
    )
    numbers = count_numbers(lambda: OnePass(options.network), window, window)
    needed = count_learning(options, numbers.outputs) + 4 * COPIES * numbers.weights
    assert needed / 2**20 == pytest.approx(measured, rel=0.15)


def test_what_looking_at_a_style_takes_is_what_was_measured():
    """MB at the peak beyond those before, of the resident set, of a style of 1024 x 1024."""
    assert count_looking(TrainOptions(style_size=1024)) / 2**20 == pytest.approx(520, rel=0.15)


def test_features_are_counted_down_to_the_deepest_layer():
    assert count_features(("relu1_1",)) == 64
    assert count_features(("relu2_2", "conv1_1")) == 2 * 64 + 2 * 128 / 4
    assert count_features(("pool1",)) == 2 * 64


@pytest.mark.parametrize(
    ("change", "device", "fits"),
    [
        ({}, CPU, True),
        ({"batch": 64}, CPU, False),
        ({"window": 1024, "batch": 1}, CPU, True),
        ({"window": 1024, "batch": 4}, CPU, False),
        ({"window": 1024, "batch": 4}, CUDA, True),
        ({"window": 1024, "batch": 64, "style_size": 2048}, CUDA, True),
    ],
    ids=["small", "batch", "window", "both", "gpu", "gpu-batch"],
)
def test_what_does_not_fit_is_refused(monkeypatch, change, device, fits):
    monkeypatch.setattr(memory, "find_memory", lambda: 8 * GIB)
    options = replace(TrainOptions(), **change)
    if fits:
        check_memory(options, DATA, device)
    else:
        with pytest.raises(TooLarge, match=r"more than the 6\.0 GB .* Use a smaller `window`"):
            check_memory(options, DATA, device)


def test_a_large_style_may_be_too_much(monkeypatch):
    monkeypatch.setattr(memory, "find_memory", lambda: 2 * GIB)
    check_memory(TrainOptions(style_size=512), DATA, CPU)
    with pytest.raises(TooLarge, match="`style_size`"):
        check_memory(TrainOptions(style_size=2048), DATA, CPU)


def test_pictures_are_kept_or_none_is():
    large = replace(DATA.pictures[0], width=4000, height=3000)
    assert count_kept(Contents((large,) * 1000), 192) == 1000 * 4 * 512 * 384
    assert count_kept(Contents((large,) * 2000), 192) == 0
