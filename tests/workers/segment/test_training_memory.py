"""What the training of a segmentation network may take of the memory."""

from dataclasses import replace

import pytest
import torch

from tests.workers.segment.coloured import make_pictures
from workers.runtime import memory
from workers.runtime.run import TooLarge
from workers.runtime.training_memory import count_numbers
from workers.segment.classes import name_classes
from workers.segment.fcn_config import FcnConfig
from workers.segment.labelled import LabelledPictures
from workers.segment.train_options import TrainOptions
from workers.segment.training_memory import (
    check_memory,
    count_kept,
    count_learning,
    count_looking,
    make_frozen,
)

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
GIB = 2**30
THIN = TrainOptions(FcnConfig(12, "thin", fc6_padding=1, at_once=True), window=(240, 320))
VGG16 = FcnConfig(12, "vgg16")


def make_large(width: int, height: int, count: int = 1, part: str = "") -> LabelledPictures:
    data = make_pictures(count, part=part)
    return replace(
        data, pictures=tuple(replace(one, width=width, height=height) for one in data.pictures)
    )


def learn(options: TrainOptions, part: int) -> float:
    """MB of a window."""
    numbers = count_numbers(lambda: make_frozen(options), *options.window)
    return count_learning(options, numbers, part) / part / 2**20


@pytest.mark.parametrize(
    ("encoder", "classes", "frozen", "measured"),
    [
        ("thin", 12, 0, 81),
        ("thin", 100, 0, 142),
        ("efficientnet-lite0", 12, 0, 145),
        ("efficientnet-lite0", 12, 2, 83),
        ("efficientnet-lite0", 12, 5, 24),
        ("efficientnet-lite0", 100, 5, 109),
        ("vgg16-slim", 12, 0, 135),
        ("vgg16-slim", 12, 5, 40),
    ],
)
def test_what_a_step_takes_is_what_was_measured(encoder, classes, frozen, measured):
    """MB at the peak beyond those before, of the resident set, of windows of 240 x 320."""
    config = FcnConfig(classes, encoder, fc6_padding=1, at_once=True)
    options = replace(THIN, network=config, frozen=frozen)
    assert learn(options, part=4) == pytest.approx(measured, rel=0.3)


@pytest.mark.parametrize(
    ("encoder", "measured"), [("thin", 147), ("efficientnet-lite0", 265), ("vgg16-slim", 531)]
)
def test_what_looking_at_a_picture_takes_is_what_was_measured(encoder, measured):
    """MB at the peak, of a picture of 1024 x 1024, with its scores of 48 MB held beside it."""
    config = FcnConfig(12, encoder, fc6_padding=1, at_once=True)
    looking = count_looking(config, make_large(1024, 1024), 1024) / 2**20
    assert looking - 48 == pytest.approx(measured, rel=0.4)


def test_pictures_larger_than_a_tile_take_no_more_than_a_band_of_scores():
    whole, larger = (
        count_looking(THIN.network, make_large(side, side), side) for side in (1024, 4096)
    )
    assert larger - whole == 4 * 12 * 1024 * (4096 - 1024)


@pytest.mark.parametrize(
    ("change", "device", "fits"),
    [
        ({}, CPU, True),
        ({"batch": 256}, CPU, False),
        ({"batch": 256, "parts": 64}, CPU, True),
        ({"window": (2048, 2048)}, CPU, False),
        ({"network": VGG16}, CPU, False),
        ({"batch": 256}, CUDA, True),
        ({"network": VGG16}, CUDA, True),
        ({"batch": 256, "window": (2048, 2048)}, CUDA, False),
    ],
    ids=["small", "batch", "parts", "window", "weights", "gpu", "weights-gpu", "host"],
)
def test_what_does_not_fit_is_refused(monkeypatch, change, device, fits):
    monkeypatch.setattr(memory, "find_memory", lambda: 6 * GIB)
    names = name_classes([str(number) for number in range(12)])
    data = replace(make_large(320, 240, count=256), classes=names)
    options = replace(THIN, **change)
    if fits:
        check_memory(options, data, device)
    else:
        with pytest.raises(TooLarge, match=r"more than the 4\.5 GB .* Use a smaller `encoder`"):
            check_memory(options, data, device)


MANY = name_classes([str(number) for number in range(60)])


def hold_out(width: int, height: int) -> LabelledPictures:
    """A small picture to learn from, and one of this size to look at."""
    learning, held = make_pictures(1, part="train"), make_large(width, height, part="val")
    return LabelledPictures(MANY, learning.pictures + held.pictures)


@pytest.mark.parametrize("device", [CPU, CUDA], ids=str)
def test_large_pictures_to_look_at_may_be_too_much(monkeypatch, device):
    """The scores are on the host even if the network is not."""
    monkeypatch.setattr(memory, "find_memory", lambda: GIB)
    options = replace(THIN, batch=1, network=replace(THIN.network, classes=60), resolution=480)
    check_memory(options, hold_out(6000, 4800), device)
    with pytest.raises(TooLarge, match="GB of memory"):
        check_memory(replace(options, resolution=2400), hold_out(6000, 4800), device)


def test_what_no_job_could_look_at_is_not_held_out(monkeypatch):
    monkeypatch.setattr(memory, "find_memory", lambda: 100 * GIB)
    options = replace(THIN, network=replace(THIN.network, classes=60), resolution=4800)
    with pytest.raises(TooLarge, match=r"val000\.png, which is held out: .* `resolution` to 2604"):
        check_memory(options, hold_out(6000, 4800), CPU)


def test_what_is_kept_is_as_large_as_it_is_learned_from():
    large = make_large(6000, 4000, count=20)
    assert count_kept(large, 400) == 20 * 5 * 600 * 400
    assert count_kept(large, None) == 0  # 2.4 GB are not kept
