"""YOLOv3-tiny against OpenCV's Darknet importer, and its own parts against their definitions."""

import copy
import math

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from shared.weights import load_catalog
from workers.detect.model import (
    COARSE_ANCHORS,
    SIZE,
    YoloV3Tiny,
    decode,
    pool_in_place,
)
from workers.detect.process import Fit, letterbox, stack
from workers.runtime.images import decode as decode_picture

PHOTOS = [file.name for file in load_catalog().files if file.kind == "photo"]
CPU = torch.device("cpu")


@pytest.fixture(scope="session")
def opencv(weights) -> cv2.dnn.Net:
    """OpenCV's reading of the same files, which also tells scores under Darknet's threshold.

    The mask is the one the weights were trained with: see FINE_ANCHORS in the model.
    """
    config = (weights / "yolov3-tiny.cfg").read_text()
    assert config.count("mask = 0,1,2") == 1
    config = config.replace("mask = 0,1,2", "mask = 1,2,3")
    config = config.replace("[yolo]", "[yolo]\nthresh=0.000001")
    return cv2.dnn.readNetFromDarknet(
        np.frombuffer(config.encode(), np.uint8),
        np.fromfile(weights / "yolov3-tiny.weights", np.uint8),
    )


def ask_opencv(net: cv2.dnn.Net, square: np.ndarray) -> tuple[Tensor, Tensor]:
    """Boxes (2535, 4) as xyxy in pixels and scores (2535, 80), in our order."""
    net.setInput(cv2.dnn.blobFromImage(square, 1 / 255))
    boxes, scores = [], []
    for rows in net.forward(net.getUnconnectedOutLayersNames()):  # coarse, fine
        cells = torch.from_numpy(rows).view(-1, 3, 85).permute(1, 0, 2).flatten(0, 1)
        centre, size = cells[:, 0:2] * SIZE, cells[:, 2:4] * SIZE
        boxes.append(torch.cat([centre - size / 2, centre + size / 2], dim=1))
        scores.append(cells[:, 5:])
    return torch.cat(boxes), torch.cat(scores)


@pytest.mark.parametrize("name", PHOTOS)
def test_boxes_and_scores_equal_opencvs(name, published, opencv, photo):
    picture = decode_picture(photo(name))
    square = letterbox(picture, Fit.of(*picture.size, SIZE))
    with torch.inference_mode():
        boxes, scores = published.predict(stack([square], CPU))
    their_boxes, their_scores = ask_opencv(opencv, square)
    assert their_scores.max() > 0.02
    assert (scores[0] - their_scores).abs().max() < 1e-4
    assert (boxes[0] - their_boxes).abs().max() < 0.01  # pixels


def test_folding_the_normalisation_changes_nothing(network):
    fused = copy.deepcopy(network)
    fused.fuse()
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in fused.modules())
    x = torch.rand(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        for before, after in zip(network(x), fused(x), strict=True):
            assert torch.allclose(before, after, atol=1e-3, rtol=1e-4)


def test_a_batch_gives_what_its_pictures_give_alone(published):
    x = torch.rand(3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        _, together = published.predict(x)
        alone = torch.cat([published.predict(x[i : i + 1])[1] for i in range(3)])
    assert torch.allclose(together, alone, atol=1e-5)


def test_the_network_has_the_published_size_and_grids():
    network = YoloV3Tiny()
    assert sum(weights.numel() for weights in network.parameters()) == 8_852_366
    with torch.inference_mode():
        coarse, fine = network(torch.zeros(1, 3, SIZE, SIZE))
    assert coarse.shape == (1, 255, 13, 13)
    assert fine.shape == (1, 255, 26, 26)


def test_zeros_decode_to_anchors_in_the_middle_of_their_cells():
    boxes, scores = decode(torch.zeros(1, 3 * 7, 13, 13), COARSE_ANCHORS, SIZE)
    assert scores.shape == (1, 3 * 13 * 13, 2)
    assert torch.all(scores == 0.25)  # sigmoid(0) squared
    cells = boxes.view(3, 13, 13, 4)
    x, y, (width, height) = 5, 2, COARSE_ANCHORS[1]
    middle_x, middle_y = (x + 0.5) * 32, (y + 0.5) * 32
    expected = [
        middle_x - width / 2,
        middle_y - height / 2,
        middle_x + width / 2,
        middle_y + height / 2,
    ]
    assert cells[1, y, x].tolist() == expected


def test_a_box_follows_the_papers_equations():
    grid = torch.zeros(1, 3, 6, 2, 2)
    tx, ty, tw, th, objectness, klass = 0.3, -1.2, 0.5, -0.4, 1.1, -0.7
    grid[0, 2, :, 1, 0] = torch.tensor([tx, ty, tw, th, objectness, klass])
    boxes, scores = decode(grid.flatten(1, 2), ((1, 1), (2, 2), (10, 20)), 64)

    def sigmoid(t: float) -> float:
        return 1 / (1 + math.exp(-t))

    x, y = (0 + sigmoid(tx)) * 32, (1 + sigmoid(ty)) * 32
    w, h = 10 * math.exp(tw), 20 * math.exp(th)
    expected = torch.tensor([x - w / 2, y - h / 2, x + w / 2, y + h / 2])
    assert torch.allclose(boxes.view(3, 2, 2, 4)[2, 1, 0], expected)
    score = scores.view(3, 2, 2)[2, 1, 0].item()
    assert score == pytest.approx(sigmoid(objectness) * sigmoid(klass))


def test_the_pool_of_stride_one_looks_right_and_down_only():
    x = torch.tensor([[[[-4.0, -3.0], [-2.0, -1.0]]]])
    assert pool_in_place(x).tolist() == [[[[-1.0, -1.0], [-1.0, -1.0]]]]
    x = torch.tensor([[[[-1.0, -2.0], [-3.0, -4.0]]]])  # a pad of zeros would win
    assert pool_in_place(x).tolist() == [[[[-1.0, -2.0], [-3.0, -4.0]]]]


def test_folding_twice_is_folding_once(network):
    fused = copy.deepcopy(network)
    fused.fuse()
    fused.fuse()  # has nothing left to fold
    x = torch.rand(1, 3, SIZE, SIZE)
    with torch.inference_mode():
        assert torch.allclose(fused(x)[0], network(x)[0], atol=1e-3, rtol=1e-4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_the_scores_of_the_cpu(network):
    x = torch.rand(2, 3, SIZE, SIZE)
    with torch.inference_mode():
        _, expected = network.predict(x)
        _, scores = copy.deepcopy(network).cuda().predict(x.cuda())
    assert F.l1_loss(scores.cpu(), expected) < 1e-3
