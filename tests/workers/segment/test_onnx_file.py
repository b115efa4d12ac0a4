"""A segmentation network as an ONNX file: what other programs see with it, and what it tells."""

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnxruntime import InferenceSession
from torch import nn

from tests.workers.segment.coloured import draw
from tests.workers.segment.desk import make_segmenter
from workers.runtime.onnx_export import NotEqual
from workers.runtime.run import Cancelled, InvalidInput, TooLarge
from workers.segment.fcn import FCN
from workers.segment.fcn_config import SHAPES, FcnConfig
from workers.segment.fields import Encoder
from workers.segment.networks import OTHERS, tell_facts
from workers.segment.onnx_file import check_onnx, check_size, choose_size, write_onnx
from workers.segment.resnet_fcn import ResNetFcn
from workers.segment.segmenter_file import Segmenter
from workers.segment.selfie_weights import load_selfie
from workers.segment.served import Served, serve

CPU = torch.device("cpu")
ODD_NAMES = ("traffic light", '"quoted" \\ {x}', "鳥 🐦")


def open_segmenter(segmenter: Segmenter, name: str = "mine@3") -> Served:
    return serve(name, segmenter.network, tell_facts(segmenter), CPU)


def make_random(**fields: Any) -> Served:
    """Of weights drawn by chance, whose scores differ from pixel to pixel."""
    torch.manual_seed(0)
    network = FCN(FcnConfig(classes=3, **fields)).eval()
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d) and not layer.weight.any():
                nn.init.kaiming_normal_(layer.weight)
    palette = ((0, 0, 0), (128, 0, 0), (0, 128, 0))
    return open_segmenter(Segmenter(network, ("a", "b", "c"), palette, 64))


@pytest.fixture
def served() -> Served:
    return open_segmenter(make_segmenter())


@dataclass(frozen=True)
class Exported:
    path: Path
    served: Served
    before: dict[str, torch.Tensor]  # the weights that were to be exported


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A small network for pictures of 64 x 64, written once, which takes seconds, and checked."""
    path, served = tmp_path_factory.mktemp("exported") / "one.onnx", make_odd()
    before = {name: tensor.clone() for name, tensor in served.network.state_dict().items()}
    write_onnx(served, (64, 64), path)
    check_onnx(served, (64, 64), path)
    return Exported(path, served, before)


def make_odd() -> Served:
    return open_segmenter(make_segmenter(*ODD_NAMES))


def read_metadata(path: Path) -> dict[str, str]:
    return {one.key: one.value for one in onnx.load(path).metadata_props}


NETWORKS = {
    "thin-8": {"encoder": "thin", "fc6_padding": 1},
    "thin-32-border": {"encoder": "thin", "stride": 32, "fc6_padding": 0},
    "thin-16-original": {"encoder": "thin", "stride": 16, "fc6_padding": 100},
    "efficientnet-lite0-border": {"encoder": "efficientnet-lite0", "fc6_padding": 0},
    "vgg16-slim-original": {"encoder": "vgg16-slim", "fc6_padding": 100, "at_once": True},
}


@pytest.mark.parametrize("fields", NETWORKS.values(), ids=NETWORKS)
def test_every_network_that_can_be_trained_answers_the_same_in_onnxruntime(fields, tmp_path):
    """Also where a last cell is only half in the picture: 45 is no multiple of 2."""
    served, path = make_random(**fields), tmp_path / "one.onnx"
    write_onnx(served, (45, 66), path)
    checked = check_onnx(served, (45, 66), path)
    assert checked.inputs == {"pictures": ["batch", 3, 45, 66]}
    assert checked.outputs == {"probabilities": ["batch", 3, 45, 66]}
    assert checked.difference < 1e-4


def test_the_selfie_network_answers_the_same_in_onnxruntime(weights, tmp_path):
    served = serve("selfie", load_selfie(weights), OTHERS["selfie"], CPU)
    write_onnx(served, (256, 256), tmp_path / "one.onnx")
    checked = check_onnx(served, (256, 256), tmp_path / "one.onnx")
    assert checked.outputs == {"probabilities": ["batch", 2, 256, 256]}
    assert checked.difference < 1e-4


def test_the_network_of_resnet50_answers_the_same_in_onnxruntime(tmp_path):
    torch.manual_seed(0)
    served = serve("fcn-resnet50", ResNetFcn().eval(), OTHERS["fcn-resnet50"], CPU)
    write_onnx(served, (40, 56), tmp_path / "one.onnx")
    checked = check_onnx(served, (40, 56), tmp_path / "one.onnx")
    assert checked.outputs == {"probabilities": ["batch", 21, 40, 56]}
    assert checked.difference < 1e-4


def test_the_mask_of_a_picture_is_right_in_onnxruntime(exported):
    session = InferenceSession(exported.path)
    pixels, truth = zip(*(draw(np.random.default_rng(seed)) for seed in range(2)), strict=True)
    pictures = np.stack(pixels).transpose(0, 3, 1, 2).astype(np.float32) / 255
    [found] = session.run(["probabilities"], {"pictures": pictures})
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    assert (found.argmax(axis=1) == np.stack(truth)).mean() > 0.8  # all but the borders


def test_the_file_tells_how_to_use_it(exported):
    told = read_metadata(exported.path)
    assert (told["model"], "3, 64, 64" in told["preprocessing"]) == ("mine@3", True)
    assert tuple(json.loads(told["classes"])) == ODD_NAMES
    assert json.loads(told["palette"]) == [list(colour) for colour in exported.served.palette]


def test_the_file_tells_nothing_about_the_machine_it_was_written_on(exported):
    content = exported.path.read_bytes()
    for folder in (Path(__file__).parents[3], Path(torch.__file__).parent):
        assert str(folder).encode() not in content


def test_the_network_that_is_served_stays_as_it_is(exported):
    placed = make_odd().network.state_dict()  # as it was before
    for name, tensor in exported.served.network.state_dict().items():
        assert torch.equal(tensor, exported.before[name])
        assert tensor.stride() == placed[name].stride()
    assert not exported.served.network.training


@pytest.mark.parametrize(("change", "why"), [(1, "differ by up to"), (np.nan, "train it again")])
def test_a_file_that_answers_otherwise_or_no_numbers_is_refused(change, why, exported):
    other = make_odd()
    other.network.get_parameter("skips.pool3.bias").data[1] += change
    with pytest.raises(NotEqual, match=why):
        check_onnx(other, (64, 64), exported.path)


def test_the_comparison_can_be_stopped(exported):
    def stop() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        check_onnx(exported.served, (64, 64), exported.path, stop)


def test_the_size_is_the_resolution_and_four_thirds_of_it_unless_told(served):
    served = replace(served, resolution=100)
    assert choose_size(served, None, None) == (100, 133)
    assert choose_size(served, 60, None) == (60, 80)
    assert choose_size(served, None, 50) == (100, 50)
    assert choose_size(served, 70, 90) == (70, 90)


def test_a_network_that_sees_squares_alone_has_one_size(served):
    square = replace(served, resolution=256, square=True)
    assert choose_size(square, None, None) == choose_size(square, 256, 256) == (256, 256)
    for size in ((128, None), (None, 257), (256, 128)):
        with pytest.raises(InvalidInput, match="256 x 256 pixels alone"):
            choose_size(square, *size)


def open_empty(classes: int, encoder: Encoder, **fields: Any) -> Served:
    with torch.device("meta"):
        network = FCN(FcnConfig(classes, encoder, **fields)).eval()
    names = tuple(map(str, range(classes)))
    return Served(
        name="mine@1",
        network=network,
        labels=names,
        palette=((0, 0, 0),) * classes,
        resolution=240,
        encoder=encoder,
        stride=8,
    )


@pytest.mark.parametrize(
    ("classes", "encoder", "most"),
    [
        (2, "vgg16", 2**25 // 64),  # channels of each pixel after the first convolution
        (2, "thin", 2**25 // 16),
        (2, "efficientnet-lite0", 2**25 // (96 // 4)),  # at half size
        (255, "vgg16", 2**25 // 255),
        (255, "efficientnet-lite0", 2**25 // 255),
    ],
)
def test_what_would_take_too_much_memory_is_refused_before_it_is_traced(classes, encoder, most):
    served = open_empty(classes, encoder, fc6_padding=SHAPES[encoder].kernel // 2)
    side = math.isqrt(most) // 32 * 32
    check_size(served, (side - 32, side - 32))
    with pytest.raises(TooLarge, match="multiply to about ") as refused:
        check_size(served, (side + 64, side + 64))
    assert int(str(refused.value).rstrip(".").split()[-1]) == pytest.approx(most, rel=0.1)
    with pytest.raises(TooLarge):
        write_onnx(served, (2048, 2048), Path("/nowhere"))


def test_the_original_border_counts_too():
    size = 512, 768
    check_size(open_empty(2, "vgg16", fc6_padding=3), size)
    with pytest.raises(TooLarge):
        check_size(open_empty(2, "vgg16", fc6_padding=100), size)
