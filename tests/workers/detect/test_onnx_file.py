"""A detector as an ONNX file: what other programs find with it, and what the file tells them."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np
import onnx
import pytest
import torch
from onnxruntime import InferenceSession

from tests.workers.detect.desk import make_detector
from workers.detect.detector_file import Detector
from workers.detect.fields import SCORE_THRESHOLDS, Published
from workers.detect.finding import predict, put_on_square
from workers.detect.networks import LABELS, load_published
from workers.detect.onnx_file import NotEqual, check_onnx, write_onnx
from workers.detect.process import stack
from workers.detect.served import Served
from workers.detect.suppression import Suppression, suppress
from workers.detect.yolo import Yolo
from workers.detect.yolo_config import STRIDES, Preset, YoloConfig
from workers.runtime.images import decode
from workers.runtime.run import TooLarge

ODD_NAMES = ("traffic light", "Ampel, rot", '"quoted" \\ {x}', "鳥 🐦", "\ud800")


def serve(detector: Detector, name: str = "mine@3") -> Served:
    network = detector.network.to(memory_format=torch.channels_last)
    names, own = detector.names, detector.suppression
    return Served(name, network, detector.side, names, detector.bordered, own)


@pytest.fixture(scope="module")
def published(weights: Path) -> Callable[[Published], Served]:
    labels = tuple((weights / LABELS).read_text().splitlines())

    def open_one(name: Published) -> Served:
        network = load_published(name, weights).to(memory_format=torch.channels_last)
        return Served(name, network, 416, labels, True, Suppression(SCORE_THRESHOLDS[name]))

    return open_one


@dataclass(frozen=True)
class Exported:
    path: Path
    served: Served
    before: dict[str, torch.Tensor]  # the weights that were to be exported


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A small detector of the tenant's own, written once, which takes seconds, and checked."""
    path, served = tmp_path_factory.mktemp("exported") / "detector.onnx", make_odd()
    before = {name: tensor.clone() for name, tensor in served.network.state_dict().items()}
    write_onnx(served, path)
    check_onnx(served, path)
    return Exported(path, served, before)


def make_odd() -> Served:
    own = Suppression(score_threshold=0.3, iou_threshold=0.6)
    return replace(serve(make_detector(*ODD_NAMES)), suppression=own)


def read_metadata(path: Path) -> dict[str, str]:
    return {one.key: one.value for one in onnx.load(path).metadata_props}


@pytest.mark.parametrize("name", get_args(Published))
def test_onnxruntime_finds_the_same_in_photographs(name, published, photo, tmp_path):
    """The same boxes are left after suppression, of one picture and of two at once."""
    served = published(name)
    path = tmp_path / "detector.onnx"
    write_onnx(served, path)
    checked = check_onnx(served, path)
    assert checked.box_difference < 0.01
    assert checked.score_difference < 1e-5

    pictures = [decode(photo(one)) for one in ("motorcycle_left.png", "coffee.png")]
    squares = [put_on_square(served, picture)[0] for picture in pictures]
    session = InferenceSession(path)
    for batch in (squares[:1], squares):
        given = {"pictures": stack(batch, torch.device("cpu")).numpy()}
        found = zip(*session.run(["boxes", "scores"], given), strict=True)
        for ours, theirs in zip(predict(served, batch), found, strict=True):
            kept = suppress(*ours, served.suppression)
            other = suppress(*map(torch.from_numpy, theirs), served.suppression)
            assert len(kept[0])
            assert torch.equal(kept[2], other[2])
            torch.testing.assert_close(other[0], kept[0], atol=0.05, rtol=0)
            torch.testing.assert_close(other[1], kept[1], atol=1e-4, rtol=0)


@pytest.mark.parametrize("preset", get_args(Preset))
def test_every_network_that_can_be_trained_can_be_taken_out(preset, tmp_path):
    """With two cells a side, so that the fully connected layers are small."""
    torch.manual_seed(0)
    side = 2 * max(STRIDES[preset])
    network = Yolo(YoloConfig(preset, classes=1, side=side, grid=2, boxes=1)).eval()
    served = serve(Detector(network, ("thing",), bordered=False))
    path = tmp_path / "detector.onnx"
    write_onnx(served, path)
    checked = check_onnx(served, path)
    assert checked.inputs == {"pictures": ["batch", 3, side, side]}
    assert checked.outputs == {"boxes": ["batch", 4, 4], "scores": ["batch", 4, 1]}


def test_the_file_tells_how_to_use_it(exported):
    told = read_metadata(exported.path)
    assert (told.pop("model"), "stretched" in told.pop("preprocessing")) == ("mine@3", True)
    assert {key: json.loads(value) for key, value in told.items()} == {
        "labels": list(ODD_NAMES),  # of any characters
        "side": exported.served.side,
        "bordered": False,
        "score_threshold": 0.3,
        "iou_threshold": 0.6,
    }
    session = InferenceSession(exported.path)
    assert session.get_modelmeta().custom_metadata_map["labels"] == json.dumps(ODD_NAMES)


def test_the_file_tells_nothing_about_the_machine_it_was_written_on(exported):
    content = exported.path.read_bytes()
    for folder in (Path(__file__).parents[3], Path(torch.__file__).parent):
        assert str(folder).encode() not in content


def test_the_detector_that_is_served_stays_as_it_is(exported):
    placed = make_odd().network.state_dict()  # as it was before
    for name, tensor in exported.served.network.state_dict().items():
        assert torch.equal(tensor, exported.before[name])
        assert tensor.stride() == placed[name].stride()
    assert not exported.served.network.training


def test_a_file_that_answers_differently_is_refused(exported):
    other = make_odd()
    with torch.no_grad():
        list(other.network.parameters())[-1].add_(0.5)  # half a cell to the right
    with pytest.raises(NotEqual, match=r"differ by up to .* pixels"):
        check_onnx(other, exported.path)


def test_a_detector_whose_answers_are_no_numbers_is_refused(exported):
    other = make_odd()
    with torch.no_grad():
        next(other.network.parameters()).fill_(np.nan)
    with pytest.raises(NotEqual, match="train it again"):
        check_onnx(other, exported.path)


def test_a_network_that_no_onnx_file_can_hold_is_refused_before_it_is_copied(tmp_path):
    with torch.device("meta"):
        network = Yolo(YoloConfig(side=64 * 14, grid=14))
    served = Served("mine@1", network, 896, ("thing",), True, Suppression())
    with pytest.raises(TooLarge, match=r"3\.\d GiB, .*format atelier"):
        write_onnx(served, tmp_path / "detector.onnx")
    assert not (tmp_path / "detector.onnx").exists()
