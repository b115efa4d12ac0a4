"""The networks of YOLOv1: their sizes, their shapes, and what pre-training hands over."""

import pytest
import torch
from torch import nn

from workers.detect.weights import hand_over
from workers.detect.yolo import Yolo
from workers.detect.yolo_config import YoloConfig
from workers.detect.yolo_v1 import ImageClassifier

FAST = YoloConfig("fast-yolo", classes=20)
SMALL = YoloConfig("small", classes=3, side=224, grid=7)


def without_memory(make):
    """A network of which only the shapes exist: a gigabyte of weights is not needed."""
    with torch.device("meta"):
        return make()


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def convolutions(network):
    return [module for module in network.modules() if isinstance(module, nn.Conv2d)]


def test_the_network_of_the_paper_has_its_layers_and_parameters():
    # A convolution has (inputs * size^2 + 1) * filters parameters; those of figure 3 sum up to
    # 60,155,968. Fully connected are 7 * 7 * 1024 * 4096 + 4096 and 4096 * 1470 + 1470.
    network = without_memory(Yolo)
    assert len(convolutions(network)) == 24
    assert sum(isinstance(module, nn.Linear) for module in network.modules()) == 2
    assert count(network.trunk) == 60_155_968
    assert count(network.head) == 205_524_992 + 6_022_590
    assert count(network) == 271_703_550


def test_the_network_of_the_paper_answers_seven_by_seven_cells_of_thirty_numbers():
    network = without_memory(Yolo)
    with torch.device("meta"):
        assert network(torch.empty(2, 3, 448, 448)).shape == (2, 7, 7, 30)


def test_fast_yolo_has_nine_convolutions_and_the_same_output():
    network = without_memory(lambda: Yolo(FAST))
    assert [layer.out_channels for layer in convolutions(network)] == [
        *[16, 32, 64, 128, 256, 512],
        *[1024, 1024, 1024],
    ]
    assert network.head[-2].out_features == 1470
    with torch.device("meta"):
        assert network(torch.empty(1, 3, 448, 448)).shape == (1, 7, 7, 30)


def test_only_the_last_layer_is_linear_and_dropout_is_before_it():
    last = list(without_memory(Yolo).head)[-4:]
    assert [type(layer) for layer in last] == [nn.LeakyReLU, nn.Dropout, nn.Linear, nn.Unflatten]
    assert (last[0].negative_slope, last[1].p) == (0.1, 0.5)


@pytest.mark.parametrize("grid", [7, 14])
def test_the_small_network_answers_a_coarse_and_a_fine_grid(grid):
    network = Yolo(YoloConfig("small", classes=3, side=224, grid=grid)).eval()
    assert 1_200_000 < count(network) < 1_400_000
    boxes, scores = network.predict(torch.rand(2, 3, 224, 224))
    assert boxes.shape == (2, grid * grid * 2, 4)
    assert scores.shape == (2, grid * grid * 2, 3)
    assert scores.min() >= 0
    assert scores.max() <= 1


def test_a_signal_neither_fades_nor_explodes_in_the_twenty_convolutions():
    torch.manual_seed(0)
    picture = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        depth = ImageClassifier(10).trunk(picture)
    assert 0.05 < depth.std() / picture.std() < 20


def test_the_classifier_has_twenty_convolutions_and_a_thousand_classes():
    classifier = without_memory(ImageClassifier)
    assert len(convolutions(classifier)) == 20
    with torch.device("meta"):
        assert classifier(torch.empty(2, 3, 224, 224)).shape == (2, 1000)


def test_the_detector_gets_the_twenty_convolutions_and_keeps_its_own_four():
    torch.manual_seed(0)
    classifier = ImageClassifier(10)
    trunk = Yolo(YoloConfig(side=64, grid=1, classes=2)).trunk  # the same convolutions
    own = [layer.weight.clone() for layer in convolutions(trunk)[20:]]
    hand_over(classifier.trunk.state_dict(), trunk)
    pairs = zip(convolutions(classifier), convolutions(trunk)[:20], strict=True)
    assert all(torch.equal(mine.weight, its.weight) for mine, its in pairs)
    kept = zip(own, convolutions(trunk)[20:], strict=True)
    assert all(torch.equal(before, layer.weight) for before, layer in kept)


def test_a_detector_of_another_kind_takes_nothing_over():
    trunk = Yolo(SMALL).trunk
    before = [parameter.clone() for parameter in trunk.parameters()]
    with pytest.raises(ValueError, match="other layers"):
        hand_over(without_memory(ImageClassifier).trunk.state_dict(), trunk)
    assert all(map(torch.equal, before, trunk.parameters()))


@pytest.mark.parametrize(
    ("numbers", "told"),
    [
        ({"preset": "yolo-v9"}, "no preset 'yolo-v9'"),
        ({"classes": 0}, "at least"),
        ({"boxes": 0}, "at least"),
        ({"grid": 0, "side": 0}, "at least"),
        ({"side": 416}, "64 pixels for each of its 7 cells, not 416"),
        ({"preset": "small", "side": 200}, "16 or 32 pixels"),
        ({"side": 960, "grid": 15}, "at most 896 pixels a side"),
        ({"classes": 1001}, "1000 classes"),
        ({"boxes": 11}, "10 boxes a cell"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(numbers, told):
    with pytest.raises(ValueError, match=told):
        YoloConfig(**numbers)
