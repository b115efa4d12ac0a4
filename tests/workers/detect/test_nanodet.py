"""NanoDet-g against the graph its weights are published with, and its boxes against the paper."""

import numpy as np
import pytest
import torch
from torch import Tensor

from shared.weights import load_catalog
from tests.workers.tfjs_graph import run_graph
from workers.detect.nanodet import BINS, SIZE, NanoDet, decode
from workers.detect.networks import load_published
from workers.detect.process import Fit, letterbox, stack
from workers.detect.suppression import Suppression, suppress
from workers.runtime.images import decode as decode_picture

PHOTOS = [file.name for file in load_catalog().files if file.kind == "photo"]
CPU = torch.device("cpu")


@pytest.fixture(scope="session")
def nanodet(weights) -> NanoDet:
    network = load_published("nanodet-g", weights)
    assert isinstance(network, NanoDet)
    return network


@pytest.fixture
def square(photo):
    """A photograph on the square, (416, 416, 3) uint8."""

    def fit(name: str) -> np.ndarray:
        picture = decode_picture(photo(name))
        return letterbox(picture, Fit.of(*picture.size, SIZE))

    return fit


def ask_graph(weights, square: np.ndarray) -> tuple[Tensor, Tensor]:
    """Boxes (3549, 4) as xyxy in pixels and scores (3549, 80), of the published graph.

    The numbers are those of the authors' nanodet-g.yml, for blue, green, red.
    """
    x = (square[..., ::-1] - [103.53, 116.28, 123.675]) / [57.375, 57.12, 58.395]
    x = torch.from_numpy(x.transpose(2, 0, 1)[None]).float()
    outputs = run_graph(weights / "nanodet-g.json", weights / "nanodet-g.bin", x)
    scores = [outputs[f"Identity{end}:0"][0] for end in ("", "_1", "_2")]
    boxes = []
    for end, stride in (("_3", 8), ("_4", 16), ("_5", 32)):
        bins = outputs[f"Identity{end}:0"][0].view(-1, 4, 11).softmax(dim=2)
        left, top, right, bottom = ((bins * torch.arange(11)).sum(2) * stride).unbind(1)
        y, x = torch.meshgrid(*[torch.arange(stride / 2, SIZE, stride)] * 2, indexing="ij")
        x, y = x.flatten(), y.flatten()
        boxes.append(torch.stack([x - left, y - top, x + right, y + bottom], dim=1))
    return torch.cat(boxes), torch.cat(scores)


@pytest.mark.parametrize("name", PHOTOS)
def test_boxes_and_scores_equal_those_of_the_published_graph(name, nanodet, weights, square):
    with torch.inference_mode():
        boxes, scores = nanodet.predict(stack([square(name)], CPU))
        their_boxes, their_scores = ask_graph(weights, square(name))
    assert their_scores.max() > 0.1
    assert (scores[0] - their_scores).abs().max() < 1e-4
    assert (boxes[0] - their_boxes).abs().max() < 0.01  # pixels


@pytest.mark.parametrize(
    ("name", "label"),
    [("chelsea.png", "cat"), ("astronaut.png", "person"), ("motorcycle_left.png", "motorbike")],
)
def test_the_best_box_is_of_what_the_photograph_shows(name, label, nanodet, weights, square):
    with torch.inference_mode():
        boxes, scores = nanodet.predict(stack([square(name)], CPU))
    _, _, classes = suppress(boxes[0], scores[0], Suppression(0.4, 0.45, 1))
    labels = (weights / "coco.names").read_text().splitlines()
    assert [labels[number] for number in classes] == [label]


def test_the_network_has_the_published_size_and_grids():
    network = NanoDet()
    # the authors count 3.81 million with those of the batch normalisation
    assert sum(weights.numel() for weights in network.parameters()) == 3_786_068
    with torch.inference_mode():
        grids = network(torch.zeros(1, 3, SIZE, SIZE))
    assert [grid.shape for grid in grids] == [(1, 124, 52, 52), (1, 124, 26, 26), (1, 124, 13, 13)]


def test_a_batch_gives_what_its_pictures_give_alone(nanodet):
    x = torch.rand(3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        boxes, scores = nanodet.predict(x)
        alone = [nanodet.predict(x[i : i + 1]) for i in range(3)]
    assert torch.allclose(boxes, torch.cat([part for part, _ in alone]), atol=1e-3)
    assert torch.allclose(scores, torch.cat([part for _, part in alone]), atol=1e-5)


def test_the_layout_in_memory_does_not_change_the_answer(nanodet):
    x = torch.rand(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        _, expected = nanodet.predict(x)
        _, scores = nanodet.predict(x.contiguous(memory_format=torch.channels_last))
    assert torch.allclose(scores, expected, atol=1e-5)


def test_a_picture_need_not_be_square(nanodet):
    with torch.inference_mode():
        boxes, scores = nanodet.predict(torch.zeros(1, 3, 64, 96))
    assert boxes.shape == (1, 8 * 12 + 4 * 6 + 2 * 3, 4)
    assert scores.shape == (1, 8 * 12 + 4 * 6 + 2 * 3, 80)


def test_equal_bins_reach_five_strides_from_the_middle_of_each_cell():
    boxes, scores = decode(torch.zeros(1, 3 + 4 * BINS, 2, 3), 3, 8)
    assert torch.all(scores == 0.5)
    middles = [(4, 4), (12, 4), (20, 4), (4, 12), (12, 12), (20, 12)]  # row by row
    expected = [[x - 40, y - 40, x + 40, y + 40] for x, y in middles]
    assert torch.allclose(boxes[0], torch.tensor(expected, dtype=torch.float32), atol=1e-4)


def test_a_side_lies_at_the_mean_of_its_bins():
    grid = torch.zeros(1, 2 + 4 * BINS, 1, 1)
    left, top, right, bottom = grid[0, 2:, 0, 0].view(4, BINS)
    left[3] = top[0] = right[10] = 100.0  # sure
    bottom[[1, 2]] = 100.0  # half and half
    boxes, _ = decode(grid, 2, 16)
    assert boxes[0].tolist() == [pytest.approx([8 - 48, 8 - 0, 8 + 160, 8 + 24])]


def test_scores_are_the_sigmoids_of_the_first_channels():
    grid = torch.zeros(1, 2 + 4 * BINS, 1, 1)
    grid[0, :2, 0, 0] = torch.tensor([-2.0, 1.0])
    _, scores = decode(grid, 2, 8)
    assert scores[0, 0].tolist() == pytest.approx([1 / (1 + np.exp(2)), 1 / (1 + np.exp(-1))])
