"""Augmented pictures: the mask goes where the pixels go, and chance is repeatable."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from workers.segment.augment import GREY, UNCHANGED, Augmentation, Change, cut, draw_change
from workers.segment.metrics import VOID

OBJECT = (slice(30, 80), slice(60, 140))  # red, class 1, on blue, class 0


def make_pair() -> tuple[Image.Image, np.ndarray]:
    mask = np.zeros((100, 200), np.uint8)
    mask[OBJECT] = 1
    colours = np.array([[0, 0, 255], [255, 0, 0]], np.uint8)
    return Image.fromarray(colours[mask]), mask


changes = st.builds(
    Change,
    scale=st.floats(0.4, 2.5),
    place=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    flip=st.booleans(),
)


@given(changes, st.sampled_from([(64, 64), (100, 200), (300, 160)]))
def test_the_mask_goes_where_the_pixels_go(change, size):
    pixels, classes = cut(*make_pair(), size, change)
    assert pixels.shape == (3, *size)
    assert classes.shape == size
    assert classes.dtype == torch.int64
    assert set(classes.unique().tolist()) <= {0, 1, VOID}
    red, blue = pixels[0] > 0.9, pixels[2] > 0.9
    assert (classes[red] == 1).all()
    assert (classes[blue] == 0).all()
    grey = torch.tensor(GREY).view(3, 1, 1) / 255
    assert torch.equal(classes == VOID, (pixels == grey).all(dim=0))


def test_an_unchanged_picture_of_the_size_stays_as_it_is():
    picture, mask = make_pair()
    pixels, classes = cut(picture, mask, (100, 200))
    assert torch.equal(classes, torch.from_numpy(mask).long())
    expected = torch.from_numpy(np.array(picture)).permute(2, 0, 1) / 255
    assert torch.equal(pixels, expected)


def test_a_window_is_cut_where_it_should_be():
    chance = np.random.default_rng(0)
    mask = chance.integers(0, 200, (100, 200)).astype(np.uint8)
    picture = Image.fromarray(np.repeat(mask[..., None], 3, axis=2))
    _, classes = cut(picture, mask, (40, 50), Change(place=(0.0, 1.0)))
    assert classes.tolist() == mask[:40, 150:].tolist()
    _, classes = cut(picture, mask, (40, 50), Change(place=(1.0, 0.5), flip=True))
    assert classes.tolist() == mask[60:, 75:125][:, ::-1].tolist()


def test_at_twice_the_size_every_pixel_of_the_mask_is_four():
    mask = np.arange(12, dtype=np.uint8).reshape(3, 4)
    _, classes = cut(Image.new("RGB", (4, 3)), mask, (6, 8), Change(scale=2.0))
    assert classes.tolist() == np.repeat(np.repeat(mask, 2, 0), 2, 1).tolist()


def test_what_lies_beyond_a_small_picture_is_void_and_grey():
    pixels, classes = cut(
        Image.new("RGB", (4, 4)), np.zeros((4, 4), np.uint8), (6, 8), Change(place=(1.0, 0.0))
    )
    inside = torch.zeros(6, 8, dtype=torch.bool)
    inside[2:, :4] = True
    assert torch.equal(classes == 0, inside)
    assert pixels[:, ~inside].unique(dim=1).mul(255).round().flatten().tolist() == list(GREY)


def test_a_picture_of_one_pixel_is_fine():
    pixels, classes = cut(
        Image.new("RGB", (1, 1)), np.zeros((1, 1), np.uint8), (32, 32), Change(scale=0.5)
    )
    assert (classes == 0).sum() == 1
    assert pixels.shape == (3, 32, 32)


@pytest.mark.parametrize(("exposure", "light"), [(0.5, 0.25), (1.5, 0.75), (3.0, 1.0)])
def test_exposure_multiplies_the_light_up_to_white(exposure, light):
    picture = Image.new("RGB", (8, 8), (128, 128, 128))
    pixels, _ = cut(picture, np.zeros((8, 8), np.uint8), (8, 8), Change(exposure=exposure))
    assert torch.allclose(pixels, torch.tensor(light), atol=0.01)


def test_chance_depends_on_seed_epoch_and_picture_alone():
    options = Augmentation()
    places = [(seed, epoch, picture) for seed in (0, 1) for epoch in (0, 1) for picture in (0, 1)]
    first = [draw_change(options, *place) for place in places]
    assert [draw_change(options, *place) for place in reversed(places)] == first[::-1]
    assert len(set(first)) == len(places)


def test_changes_stay_in_their_range_and_fill_it():
    drawn = [draw_change(Augmentation(), 0, epoch, 0) for epoch in range(2000)]
    ranges = [
        ([change.scale for change in drawn], 1 / 1.5, 1.5),
        ([change.exposure for change in drawn], 1 / 1.3, 1.3),
        ([change.place[0] for change in drawn], 0, 1),
        ([change.place[1] for change in drawn], 0, 1),
    ]
    for values, low, high in ranges:
        assert low <= min(values) < low + 0.02
        assert high - 0.02 < max(values) <= high
    assert np.mean([change.flip for change in drawn]) == pytest.approx(0.5, abs=0.05)


def test_without_amounts_only_the_place_changes():
    change = draw_change(Augmentation(scale=1, exposure=1, flip=0), 0, 0, 0)
    assert change == Change(place=change.place)
    assert change != UNCHANGED


@pytest.mark.parametrize("amounts", [{"scale": 0.5}, {"exposure": 0}, {"flip": 2}])
def test_amounts_that_mean_nothing_are_refused(amounts):
    with pytest.raises(ValueError, match="must be"):
        Augmentation(**amounts)
