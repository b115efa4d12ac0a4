"""Masks as files and pictures: indices survive, and colours are where their classes are."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from workers.segment.classes import make_palette
from workers.segment.draw import VOID_COLOUR, draw_legend, overlay, write_mask
from workers.segment.masks import decode_mask
from workers.segment.metrics import VOID

PALETTE = make_palette(21)
MASK = np.array([[0, 1, 20], [VOID, 2, 1]], np.uint8)


def test_the_palette_is_that_of_pascal_voc():
    # https://host.robots.ox.ac.uk/pascal/VOC: VOClabelcolormap of the development kit
    assert PALETTE[:9] == (
        (0, 0, 0),
        (128, 0, 0),
        (0, 128, 0),
        (128, 128, 0),
        (0, 0, 128),
        (128, 0, 128),
        (0, 128, 128),
        (128, 128, 128),
        (64, 0, 0),
    )
    assert PALETTE[15] == (192, 128, 128)  # a person
    assert PALETTE[20] == (0, 64, 128)
    assert make_palette(256)[255] == VOID_COLOUR
    assert len(set(make_palette(256))) == 256


def test_a_written_mask_is_read_back():
    assert decode_mask(write_mask(MASK, PALETTE)).tolist() == MASK.tolist()


def test_a_written_mask_shows_the_palette():
    image = Image.open(BytesIO(write_mask(MASK, PALETTE)))
    assert image.mode == "P"
    shown = np.asarray(image.convert("RGB"))
    assert shown[0].tolist() == [[0, 0, 0], [128, 0, 0], [0, 64, 128]]
    assert tuple(shown[1, 0]) == VOID_COLOUR


def test_an_overlay_mixes_the_picture_with_its_classes():
    picture = Image.new("RGB", (3, 2), (200, 200, 200))
    mixed = np.asarray(overlay(picture, MASK, PALETTE, opacity=0.5), int)
    assert mixed[0, 1] == pytest.approx([164, 100, 100], abs=1)
    assert mixed[1, 0].tolist() == [200, 200, 200]  # void
    assert mixed[0, 0] == pytest.approx([100, 100, 100], abs=1)


def test_the_background_of_an_overlay_may_stay_clear():
    picture = Image.new("RGB", (3, 2), (200, 200, 200))
    mixed = np.asarray(overlay(picture, MASK, PALETTE, opacity=1, background=0))
    assert mixed[0].tolist() == [[200, 200, 200], [128, 0, 0], [0, 64, 128]]


def test_a_legend_shows_every_class_in_its_row():
    names = ["sky", "road", "a" * 200, "\u6811"]
    legend = draw_legend(names, PALETTE[:4])
    rows = [legend.getpixel((16, 28 * place + 14)) for place in range(4)]
    assert rows == list(PALETTE[:4])
    assert legend.width < 800
