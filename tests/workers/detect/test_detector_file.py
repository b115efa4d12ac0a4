"""A trained detector as a file: it comes back as it was, and other files are refused."""

import copy
from dataclasses import replace

import pytest
import torch

from workers.detect.detector_file import (
    Detector,
    load_classifier,
    load_detector,
    pack_detector,
    save_classifier,
    save_detector,
    unpack_detector,
)
from workers.detect.model import ANCHORS
from workers.detect.model_contract import ModelView
from workers.detect.model_tasks import FACTS
from workers.detect.suppression import Suppression
from workers.detect.yolo import Yolo
from workers.detect.yolo_config import YoloConfig
from workers.detect.yolo_v1 import ImageClassifier
from workers.runtime.tensors import read_tensors, write_tensors


@pytest.fixture(scope="module")
def detector() -> Detector:
    torch.manual_seed(0)
    return Detector(
        Yolo(YoloConfig("small", classes=2, side=64, grid=4)).eval(),
        names=("red", "blue"),
        bordered=True,
        suppression=Suppression(score_threshold=0.4, decay="gaussian"),
        metrics={"map50": 0.75},
    )


@pytest.fixture
def path(detector, tmp_path):
    save_detector(detector, tmp_path / "detector.safetensors")
    return tmp_path / "detector.safetensors"


def test_a_detector_comes_back_as_it_was(detector, path):
    loaded = load_detector(path)
    assert replace(loaded, network=detector.network) == detector
    assert loaded.network.config == detector.network.config
    assert not loaded.network.training
    pictures = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(loaded.network(pictures), detector.network(pictures))


def test_a_yolov3_tiny_comes_back_with_its_anchors(published, tmp_path):
    names = tuple(str(number) for number in range(80))
    network = copy.deepcopy(published)
    network.anchors = tuple((width + 1, height) for width, height in ANCHORS)
    saved = Detector(network, names, bordered=True, suppression=Suppression(0.3))
    save_detector(saved, tmp_path / "detector.safetensors")
    loaded = load_detector(tmp_path / "detector.safetensors")
    assert replace(loaded, network=network) == saved
    assert (loaded.side, loaded.network.anchors) == (416, network.anchors)
    x = torch.rand(1, 3, 416, 416)
    with torch.inference_mode():
        for found, expected in zip(loaded.network.predict(x), network.predict(x), strict=True):
            assert torch.equal(found, expected)


@pytest.mark.parametrize(
    "change",
    [
        {"network": {"classes": 80}},
        {"network": {"classes": 0, "anchors": [[1, 1]] * 6}},
        {"network": {"classes": 80, "anchors": [[1, 1]] * 5}},
        {"network": {"classes": 80, "anchors": [[1, 1]] * 5 + [[1, 0]]}},
        {"network": {"classes": 80, "anchors": [[1, 1]] * 5 + [[1, 2, 3]]}},
        {"network": {"classes": 80, "anchors": [[1, 1]] * 5 + [[1.5, 1]]}},
        {"network": {"preset": "small", "classes": 80}},
        {"names": ["a"]},
        {"format": "atelier-yolo-1"},
    ],
)
def test_a_description_that_is_none_of_yolov3_tiny_is_refused(published, change):
    names = tuple(str(number) for number in range(80))
    tensors, about = pack_detector(Detector(published, names, bordered=True))
    assert unpack_detector(tensors, about).names == names
    with pytest.raises(ValueError):  # noqa: PT011  # the texts are pydantic's
        unpack_detector(tensors, about | change)


def test_a_yolov3_tiny_whose_normalisation_is_not_folded_is_no_detector(network):
    tensors, about = pack_detector(Detector(network, tuple(map(str, range(80))), bordered=True))
    with pytest.raises(ValueError, match="not those of the network"):
        unpack_detector(tensors, about)


def test_the_facts_of_a_detector_are_those_that_lists_show(detector):
    assert set(detector.list_facts()) == set(FACTS) <= set(ModelView.model_fields)


def test_equal_detectors_are_equal_files(path, tmp_path):
    save_detector(load_detector(path), tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def test_a_file_without_a_name_for_each_class_is_not_written(detector, tmp_path):
    for names in [("red",), ("red", "red"), ("red", "blue", "green")]:
        with pytest.raises(ValueError, match="2 classes need as many different names"):
            save_detector(replace(detector, names=names), tmp_path / "file")
    assert not (tmp_path / "file").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"format": "atelier-yolo-9"},
        {"network": {"preset": "small", "classes": 2, "side": 64, "grid": 5, "boxes": 2}},
        {"network": {"preset": "huge", "classes": 2, "side": 64, "grid": 4, "boxes": 2}},
        {"network": {"preset": "small", "classes": 2, "side": 10**9 * 16, "grid": 10**9}},
        {"network": {"preset": "yolo-v1", "classes": 2, "side": 64 * 63, "grid": 63}},
        {"names": ["red"]},
        {"names": "red"},
        {"bordered": "yes"},
        {"suppression": {"score_threshold": "high"}},
        {"suppression": {"score_threshold": 1.5}},
        {"suppression": {"iou_threshold": -0.1}},
        {"suppression": {"max_detections": 0}},
        {"suppression": {"sigma": 0.0}},
        {"metrics": {"map50": "good"}},
        {"more": 1},
    ],
)
def test_a_description_that_is_not_one_is_refused(path, change):
    tensors, about = read_tensors(path)
    write_tensors(path, tensors, about | change)
    with pytest.raises(ValueError):  # noqa: PT011  # the texts are pydantic's
        load_detector(path)


def test_weights_of_another_network_are_refused(path):
    tensors, about = read_tensors(path)
    others = [
        {name: one for name, one in tensors.items() if name != "head.0.bias"},
        tensors | {"more": torch.zeros(1)},
        tensors | {"head.0.bias": torch.zeros(3)},
        tensors | {"head.0.bias": tensors["head.0.bias"].double()},
    ]
    for other in others:
        write_tensors(path, other, about)
        with pytest.raises(ValueError, match="not those of the network"):
            load_detector(path)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"no tensors")
    with pytest.raises(ValueError, match="safetensors"):
        load_detector(tmp_path / "file")
    write_tensors(tmp_path / "file", {}, {"format": "something else"})
    with pytest.raises(ValueError, match="format"):
        load_detector(tmp_path / "file")
    with pytest.raises(ValueError, match="no classifier"):
        load_classifier(tmp_path / "file")


def test_a_classifier_comes_back_as_it_was(tmp_path):
    classifier = ImageClassifier(classes=3).eval()
    save_classifier(classifier, tmp_path / "file")
    loaded = load_classifier(tmp_path / "file")
    assert loaded.head.out_features == 3
    for name, weights in classifier.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], weights)
