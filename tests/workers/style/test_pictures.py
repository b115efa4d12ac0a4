"""Pictures become what networks see, and pictures again."""

import numpy as np
import pytest
import torch
from PIL import Image

from tests.workers.style.desk import draw_noise
from workers.runtime.images import decode
from workers.style.pictures import denormalise, encode_painting, fit, normalise, to_image, to_tensor


@pytest.mark.parametrize(
    ("size", "longer", "expected"),
    [
        ((640, 480), 320, (320, 240)),
        ((480, 640), 320, (240, 320)),
        ((1, 1), 320, (320, 320)),
        ((1, 4000), 320, (1, 320)),
        ((4000, 3), 2048, (2048, 2)),
        ((450, 300), 450, (450, 300)),
    ],
)
def test_a_picture_keeps_its_shape_and_no_side_is_lost(size, longer, expected):
    assert fit(*size, longer) == expected


def test_a_picture_comes_back_as_it_was():
    image = draw_noise(31, 17)
    pixels = to_tensor(image)
    assert (pixels.shape, pixels.dtype) == ((1, 3, 17, 31), torch.float32)
    assert pixels.is_contiguous(memory_format=torch.channels_last)
    assert (float(pixels.min()), float(pixels.max())) == (0, 1)
    assert np.array_equal(np.asarray(to_image(pixels)), np.asarray(image))


def test_red_is_the_first_channel():
    pixels = to_tensor(Image.new("RGB", (2, 1), (255, 51, 0)))
    assert torch.allclose(pixels[0, :, 0, 1], torch.tensor([1.0, 0.2, 0.0]))


def test_what_is_beyond_black_and_white_is_black_and_white():
    pixels = torch.tensor([-0.3, 0.5, 1.7]).view(1, 3, 1, 1).requires_grad_()
    assert to_image(pixels).getpixel((0, 0)) == (0, 128, 255)


def test_pixels_are_as_imagenets_are_normalised():
    """The numbers of torchvision: mean 0.485, 0.456, 0.406, deviation 0.229, 0.224, 0.225."""
    white = normalise(torch.ones(1, 3, 1, 1)).flatten()
    torch.testing.assert_close(white, torch.tensor([2.24891, 2.42857, 2.64]))
    pixels = torch.rand(1, 3, 4, 5)
    torch.testing.assert_close(denormalise(normalise(pixels)), pixels)


def test_a_painting_keeps_the_colours_of_single_rows():
    """Of every second row red, the others blue; a file that halves the colours mixes them."""
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[::2, :, 0] = pixels[1::2, :, 2] = 200
    shown = np.asarray(decode(encode_painting(Image.fromarray(pixels)))).astype(int)
    assert np.abs(shown - pixels).max() < 40
