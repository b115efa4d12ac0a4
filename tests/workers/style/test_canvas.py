"""What a picture is painted on: where there is painting, at every size."""

import pytest
import torch
from PIL import Image

from tests.workers.style.desk import draw_scene
from workers.style.canvas import Canvas
from workers.style.transfer_contract import Scale

CPU = torch.device("cpu")


@pytest.mark.parametrize("side", ["width", "height"])
@pytest.mark.parametrize("longer", [8, 32, 256, 512])
def test_a_dot_of_a_thin_mask_stays_at_every_size(side, longer):
    mask = Image.new("L", (256, 1))
    mask.putpixel((3, 0), 255)
    if side == "height":
        mask = mask.transpose(Image.Transpose.TRANSPOSE)
    canvas = Canvas(draw_scene(), mask, Scale(width=longer, height=longer, steps=1), CPU)
    assert canvas.region is not None
    assert canvas.region.mean().item() == pytest.approx(1 / 256, rel=0.2)
