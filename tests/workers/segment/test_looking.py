"""Looking at a picture of any size: what the network sees of it, and what comes back."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor, nn

from tests.workers.segment.coloured import COLOURS
from tests.workers.segment.desk import NAMES, paint
from workers.runtime.images import MAX_PIXELS
from workers.runtime.run import Cancelled, InvalidInput, TooLarge
from workers.segment.looking import (
    choose_size,
    count_together,
    find_mask,
    score_picture,
    score_together,
)
from workers.segment.served import Served


class Nearest(nn.Module):
    """Scores how near each pixel, in [0, 1], is to each colour; and remembers what it saw."""

    def __init__(self, colours=COLOURS) -> None:
        super().__init__()
        self.colours = nn.Parameter(torch.tensor(colours)[:, :, None, None] / 255)
        self.seen: list[torch.Size] = []

    def forward(self, pixels: Tensor) -> Tensor:
        self.seen.append(pixels.shape)
        return -(pixels[:, None] - self.colours).square().sum(dim=2)


def serve(resolution: int = 64, square: bool = False, classes: int = 3) -> Served:
    names = [*NAMES, *map(str, range(classes - 3))]
    palette = [*COLOURS, *[(number, 0, 0) for number in range(classes - 3)]]
    return Served(
        labels=tuple(names),
        palette=tuple(palette),
        resolution=resolution,
        encoder="",
        stride=None,
        square=square,
        name="nearest",
        network=Nearest(palette).eval(),
    )


@pytest.mark.parametrize(
    ("size", "resolution", "seen"),
    [
        ((640, 480), None, (64, 85)),
        ((480, 640), None, (85, 64)),
        ((64, 64), None, (64, 64)),
        ((640, 480), 480, (480, 640)),  # unchanged
        ((1, 1), None, (64, 64)),
        ((2, 1), None, (64, 128)),
        ((16, 1), None, (32, 512)),  # 4 * 64 * 64 pixels, not 64 x 1024
        ((40_000, 1), None, (1, 40_000)),
        ((40_000, 128), None, (64, 20_000)),
    ],
)
def test_the_shorter_side_becomes_the_resolution(size, resolution, seen):
    assert choose_size(serve(), *size, resolution) == seen


def test_a_picture_is_not_enlarged_to_more_than_one_may_have():
    height, width = choose_size(serve(), 640, 480, 8000)
    assert height * width == pytest.approx(MAX_PIXELS, rel=0.01)
    assert width / height == pytest.approx(4 / 3, rel=0.01)


@given(st.integers(1, 40_000), st.integers(1, 40_000), st.integers(16, 8192))
def test_no_picture_becomes_much_larger(width, height, resolution):
    seen = choose_size(serve(), width, height, resolution)
    assert min(seen) >= 1
    most = max(width * height, min(4 * resolution**2, MAX_PIXELS))
    assert seen[0] * seen[1] <= most + sum(seen)  # sides are rounded
    if min(width, height) >= resolution:
        assert min(seen) == resolution


def test_a_network_of_squares_sees_its_own_square_alone():
    served = serve(resolution=256, square=True)
    assert choose_size(served, 30, 4000) == choose_size(served, 30, 4000, 256) == (256, 256)
    with pytest.raises(InvalidInput, match="square of 256 pixels: leave `resolution` out"):
        choose_size(served, 30, 4000, 1000)
    mask = find_mask(served, Image.new("RGB", (30, 400), COLOURS[2]))
    assert served.network.seen == [(1, 3, 256, 256)]
    assert mask.shape == (400, 30)
    assert (mask == 2).all()


@pytest.mark.parametrize("size", [(48, 80), (80, 48), (47, 81), (1, 1), (1, 200), (3, 2)])
@pytest.mark.parametrize("resolution", [16, 48, 100])
def test_a_picture_of_one_colour_is_of_its_class_everywhere(size, resolution):
    for number, colour in enumerate(COLOURS):
        mask = find_mask(serve(), Image.new("RGB", size, colour), resolution)
        assert (mask.shape, mask.dtype) == (size[::-1], np.uint8)
        assert (mask == number).all()


def test_a_picture_at_its_own_resolution_is_not_resampled():
    chance = np.random.default_rng(0)
    truth = chance.integers(0, 3, (50, 70)).astype(np.uint8)
    assert np.array_equal(find_mask(serve(), paint(truth), 50), truth)


def test_what_was_seen_smaller_comes_back_at_the_picture_s_own_size():
    truth = np.zeros((300, 200), np.uint8)
    truth[120:260, 40:100] = 1
    found = find_mask(serve(), paint(truth), 100)
    assert found.shape == (300, 200)
    assert (found != truth).mean() < 0.01  # at the border


def test_large_pictures_are_seen_in_tiles_and_followed():
    chance = np.random.default_rng(0)
    truth = np.kron(chance.integers(0, 3, (30, 40)), np.ones((50, 50))).astype(np.uint8)
    served, steps = serve(), []
    found = find_mask(served, paint(truth), 1500, steps.append)
    assert np.array_equal(found, truth)
    assert {shape[2:] for shape in served.network.seen} <= {
        (height, width) for height in (1024, 732) for width in (1024, 464)
    }
    assert steps == pytest.approx([(one + 1) / len(steps) for one in range(len(steps))])
    assert len(steps) == len(served.network.seen) == 6


def test_whoever_watches_can_stop_it():
    def stop(_done: float) -> None:
        raise Cancelled

    served = serve()
    with pytest.raises(Cancelled):
        find_mask(served, Image.new("RGB", (3000, 1500)), 1500, stop)
    assert len(served.network.seen) == 1


@pytest.mark.parametrize("seen", [(64, 85), (85, 64), (40, 40)])
def test_pictures_that_are_seen_together_get_what_each_gets_alone(seen):
    chance = np.random.default_rng(1)
    served = serve(resolution=min(seen))
    size = (seen[1] * 3, seen[0] * 3)
    pictures = [
        Image.fromarray(chance.integers(0, 256, (size[1], size[0], 3), np.uint8)) for _ in range(3)
    ]
    assert choose_size(served, *size) == seen
    together = [list(bands) for bands in score_together(served, pictures, seen)]
    assert served.network.seen == [(3, 3, *seen)]
    for picture, bands in zip(pictures, together, strict=True):
        alone = list(score_picture(served, picture))
        assert [one[:2] for one in alone] == [one[:2] for one in bands]
        for (*_, one), (*_, other) in zip(alone, bands, strict=True):
            torch.testing.assert_close(one, other)


def test_so_many_are_seen_together_as_memory_allows():
    assert count_together(serve(), (1024, 1024)) == 2
    assert count_together(serve(), (64, 64)) == 512
    assert count_together(serve(), (1025, 64)) == 0  # in tiles
    assert count_together(serve(classes=200), (512, 512)) == 1
    assert count_together(serve(classes=200), (513, 512)) == 0


def test_many_classes_at_a_high_resolution_are_refused_before_they_take_memory():
    served = serve(classes=250)
    picture = Image.new("RGB", (3000, 2000))
    with pytest.raises(TooLarge, match=r"250 classes.*3000 x 2000.*`resolution` to 1250 or less"):
        find_mask(served, picture, 2000)
    assert served.network.seen == []
    next(score_picture(served, picture, 200))
    assert len(served.network.seen) == 1


@pytest.mark.parametrize("resolution", [100, 1600])
def test_bands_of_a_large_picture_hold_few_scores(resolution):
    """Whether it is seen smaller, or as it is, in bands of 20 million scores."""
    picture = Image.new("RGB", (2400, 1600), "white")
    sizes = [scores.numel() for *_, scores in score_picture(serve(classes=16), picture, resolution)]
    assert max(sizes) <= 2**24
    assert sum(sizes) == 16 * 2400 * 1600
