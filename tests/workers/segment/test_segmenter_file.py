"""A segmenter in a file: what it is comes back, and nothing else is taken for one."""

import copy

import pytest
import torch

from workers.runtime.tensors import write_tensors
from workers.segment.fcn import FCN
from workers.segment.fcn_config import FcnConfig
from workers.segment.segmenter_file import (
    Segmenter,
    load_segmenter,
    pack_segmenter,
    save_segmenter,
    unpack_segmenter,
)


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    network = FCN(FcnConfig(2, "thin", 16, fc6_padding=1)).eval()
    torch.nn.init.normal_(network.score.weight)
    return Segmenter(network, ("sky", "road"), ((1, 2, 3), (4, 5, 6)), 240, {"mean_iou": 0.5})


def test_a_segmenter_comes_back_as_it_was(segmenter, tmp_path):
    save_segmenter(segmenter, tmp_path / "one")
    found = load_segmenter(tmp_path / "one")
    assert (found.names, found.palette, found.metrics) == (
        segmenter.names,
        segmenter.palette,
        segmenter.metrics,
    )
    assert found.network.config == segmenter.network.config
    pixels = torch.randn(1, 3, 50, 40)
    with torch.inference_mode():
        assert torch.equal(found.network(pixels), segmenter.network(pixels))
    save_segmenter(found, tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize(
    "change",
    [
        {"format": "atelier-yolo-1"},
        {"names": ["sky"]},
        {"names": ["sky", "sky"]},
        {"palette": [[1, 2, 3], [4, 5, 256]]},
        {"palette": [[1, 2, 3]]},
        {"metrics": {"mean_iou": "much"}},
        {"more": 1},
        {"network": {"classes": 2, "encoder": "thin", "stride": 8, "fc6_padding": 1}},
        {"network": {"classes": 10**9, "encoder": "vgg16"}},
        {"network": {"classes": 2, "encoder": "vgg16", "fc6_padding": 2}},
        {"network": {"classes": 2, "encoder": "vgg16"}},
    ],
)
def test_what_is_no_segmenter_is_refused(segmenter, tmp_path, change):
    tensors, about = pack_segmenter(segmenter)
    write_tensors(tmp_path / "file", tensors, copy.deepcopy(about) | change)
    with pytest.raises(ValueError, match=r"\w"):
        load_segmenter(tmp_path / "file")


def test_weights_of_another_shape_are_named(segmenter):
    tensors, about = pack_segmenter(segmenter)
    odd = tensors | {"score.bias": torch.zeros(3)}
    with pytest.raises(ValueError, match=r"not those of the network: score\.bias"):
        unpack_segmenter(odd, about)
