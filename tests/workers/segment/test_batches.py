"""Batches: windows in an order that repeats, from memory or from the files."""

import numpy as np
import pytest
import torch
from PIL import Image

from tests.workers.segment.coloured import COLOURS, make_pictures
from workers.runtime.vgg16 import normalise
from workers.segment.augment import Augmentation
from workers.segment.batches import Pictures, count_bytes, draw_batch, draw_order

DATA = make_pictures(6)
STILL = Augmentation(scale=1, exposure=1, flip=0)


@pytest.mark.parametrize(("count", "batch"), [(10, 3), (10, 5), (2, 5)])
def test_an_epoch_shows_every_picture(count, batch):
    order = draw_order(count, batch, seed=0, epoch=1)
    assert set(order.ravel().tolist()) == set(range(count))
    assert order.shape == (-(-count // min(batch, count)), min(batch, count))
    assert np.array_equal(order, draw_order(count, batch, 0, 1))


def test_epochs_have_orders_of_their_own():
    orders = {draw_order(20, 20, 0, epoch).tobytes() for epoch in range(5)}
    assert len(orders) == 5


def test_pictures_are_the_same_from_memory_and_from_files():
    held, files = Pictures(DATA), Pictures(DATA, max_kept=0)
    assert (held.kept is None, files.kept is None) == (False, True)
    for place in range(len(DATA.pictures)):
        for one, other in zip(held.open(place), files.open(place), strict=True):
            assert np.array_equal(np.asarray(one), np.asarray(other))


@pytest.mark.parametrize("max_kept", [0, 10**9])
def test_pictures_and_masks_are_scaled_to_a_resolution_once(max_kept):
    scaled, own = Pictures(DATA, 32, max_kept), Pictures(DATA)
    for place in range(len(DATA.pictures)):
        (picture, mask), (large, whole) = scaled.open(place), own.open(place)
        assert np.array_equal(picture, large.resize((32, 32), Image.Resampling.BILINEAR))
        assert np.array_equal(mask, whole[1::2, 1::2])
    unchanged = Pictures(DATA, 64).open(0)
    assert np.array_equal(unchanged[0], own.open(0)[0])


def test_pictures_are_kept_if_those_of_the_resolution_fit():
    assert count_bytes(DATA, 32) == 6 * 5 * 32 * 32
    assert Pictures(DATA, 32, 6 * 5 * 32 * 32).kept is not None
    assert Pictures(DATA, 32, 6 * 5 * 32 * 32 - 1).kept is None


def test_a_batch_holds_pixels_and_their_classes():
    batch = draw_batch(Pictures(DATA), [4, 1], (64, 64), STILL, 0, 0)
    assert batch.pixels.shape == (2, 3, 64, 64)
    assert batch.truth.shape == (2, 64, 64)
    for number, colour in enumerate(COLOURS):
        shown = batch.pixels.permute(1, 0, 2, 3)[:, batch.truth == number].mean(dim=1)
        expected = normalise(torch.tensor(colour).view(1, 3, 1, 1) / 255).flatten()
        assert torch.allclose(shown, expected, atol=3)


def test_chance_belongs_to_a_picture_wherever_it_is_in_its_batch():
    pictures = Pictures(DATA)
    first = draw_batch(pictures, [0, 3], (40, 40), Augmentation(), 7, 2)
    second = draw_batch(pictures, [3, 5], (40, 40), Augmentation(), 7, 2)
    assert torch.equal(first.pixels[1], second.pixels[0])
    assert torch.equal(first.truth[1], second.truth[0])
    later = draw_batch(pictures, [0, 3], (40, 40), Augmentation(), 7, 3)
    assert not torch.equal(first.pixels, later.pixels)
