"""How the losses fell is drawn."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from workers.style.fields import Losses
from workers.style.loss_curve import draw_losses


def make(content: float, style: float, tv: float = 0.0) -> Losses:
    return Losses(content=content, style=style, tv=tv, total=content + style + tv)


def read(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(png), formats=("PNG",)).convert("RGB"))


def test_three_losses_are_drawn_each_in_its_colour():
    history = {step: make(1 + step, 1000 / (1 + step), 0.1) for step in range(10)}
    picture = read(draw_losses(history)).reshape(-1, 3)
    for colour in ((31, 119, 180), (255, 127, 14), (44, 160, 44)):  # matplotlib's first three
        assert (picture == colour).all(axis=1).sum() > 100


@pytest.mark.parametrize(
    "history", [{0: make(0, 0)}, {0: make(0, 5)}, {0: make(0, 5), 1: make(2, 3)}]
)
def test_losses_of_nothing_are_left_out(history):
    """A content has none at first, and a term without a weight never."""
    assert read(draw_losses(history)).std() > 0
