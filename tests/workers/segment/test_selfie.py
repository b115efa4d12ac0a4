"""The selfie network against the graph that its weights are published with, and on photographs."""

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.workers.tfjs_graph import run_graph
from workers.runtime.images import decode
from workers.segment.selfie import SIDE, Selfie
from workers.segment.selfie_weights import load_selfie

PEOPLE = ["astronaut.png", "biden.jpg", "obama.jpg", "obama2.jpg", "obama3.jpg"]
OTHERS = ["chelsea.png", "china.jpg", "coffee.png", "motorcycle_left.png", "rocket.jpg"]


@pytest.fixture(scope="module")
def network(weights) -> Selfie:
    return load_selfie(weights)


@pytest.fixture
def square(weights):
    """A photograph as (1, 3, 256, 256) RGB in [0, 1]."""

    def read(name: str) -> Tensor:
        picture = decode((weights / name).read_bytes()).resize((SIDE, SIDE))
        pixels = np.asarray(picture.convert("RGB"), np.float32) / 255
        return torch.from_numpy(pixels.transpose(2, 0, 1)[None])

    return read


@pytest.mark.parametrize("name", PEOPLE + OTHERS)
def test_probabilities_equal_those_of_the_published_graph(name, weights, square):
    pixels = square(name).double()  # in single precision, rounding alone moves some by 1e-4
    model, numbers = weights / "selfie.json", weights / "selfie.bin"
    with torch.inference_mode():
        scores = load_selfie(weights).double()(pixels)
        theirs = run_graph(model, numbers, pixels.permute(0, 2, 3, 1))["activation_10:0"]
    assert (scores.softmax(dim=1)[0, 1] - theirs[0, ..., 0]).abs().max() < 1e-9


@pytest.mark.parametrize("name", PEOPLE)
def test_single_precision_is_enough(name, network, weights, square):
    with torch.inference_mode():
        single = network(square(name)).softmax(dim=1)
        double = load_selfie(weights).double()(square(name).double()).softmax(dim=1)
    assert (single - double).abs().max() < 1e-3


# (x, y) in widths and heights of the photograph, as a person sees them
@pytest.mark.parametrize(
    ("name", "person", "background"),
    [
        ("astronaut.png", [(0.43, 0.2), (0.4, 0.8)], [(0.05, 0.1), (0.8, 0.1)]),
        ("biden.jpg", [(0.6, 0.14), (0.5, 0.5)], [(0.1, 0.1), (0.9, 0.1)]),
        ("obama.jpg", [(0.53, 0.2), (0.5, 0.8)], [(0.1, 0.3), (0.9, 0.2)]),
        ("obama3.jpg", [(0.55, 0.2), (0.5, 0.6)], [(0.1, 0.5), (0.9, 0.2)]),
    ],
)
def test_people_are_told_from_what_is_behind_them(name, person, background, network, square):
    with torch.inference_mode():
        chance = network(square(name)).softmax(dim=1)[0, 1]
    assert all(chance[int(y * SIDE), int(x * SIDE)] > 0.9 for x, y in person)
    assert all(chance[int(y * SIDE), int(x * SIDE)] < 0.1 for x, y in background)


@pytest.mark.parametrize("name", ["china.jpg", "rocket.jpg"])
def test_a_photograph_without_people_is_all_background(name, network, square):
    with torch.inference_mode():
        scores = network(square(name))
    assert (scores.argmax(dim=1) == 0).float().mean() > 0.99


def test_the_background_scores_zero_and_the_shape_is_that_of_the_pixels():
    network = Selfie().eval()
    with torch.inference_mode():
        scores = network(torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)))
    assert scores.shape == (2, 2, SIDE, SIDE)
    assert not scores[:, 0].any()
    assert scores[:, 1].any()


def test_a_batch_gives_what_its_pictures_give_alone(network, square):
    pixels = torch.cat([square("astronaut.png"), square("obama.jpg")])
    with torch.inference_mode():
        together = network(pixels).softmax(dim=1)
        alone = torch.cat([network(one[None]) for one in pixels]).softmax(dim=1)
    assert torch.allclose(together, alone, atol=1e-3)


def test_the_layout_in_memory_does_not_change_the_answer(network, square):
    pixels = square("obama.jpg")
    with torch.inference_mode():
        expected = network(pixels).softmax(dim=1)
        found = network(pixels.contiguous(memory_format=torch.channels_last)).softmax(dim=1)
    assert torch.allclose(found, expected, atol=1e-3)
