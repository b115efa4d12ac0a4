"""A segmenter in a file: what it is comes back, and nothing else is taken for one."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from workers.runtime.tensors import write_tensors
from workers.segment.fcn import FCN
from workers.segment.fcn_config import FcnConfig
from workers.segment.segmenter_file import (
    MAX_METRICS,
    Segmenter,
    load_segmenter,
    pack_segmenter,
    save_segmenter,
    unpack_segmenter,
)

COUNT = "encoder.stages.0.1.num_batches_tracked"


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    torch.manual_seed(0)
    network = FCN(FcnConfig(2, "thin", 16, fc6_padding=1)).eval()
    torch.nn.init.normal_(network.score.weight)
    return Segmenter(network, ("sky", "road"), ((1, 2, 3), (4, 5, 6)), 240, {"mean_iou": 0.5})


@torch.inference_mode()
def score(segmenter: Segmenter) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    scores: Tensor = segmenter.network(100 * torch.randn(1, 3, 50, 40, generator=generator))
    return scores


def test_a_segmenter_comes_back_as_it_was(segmenter, tmp_path):
    save_segmenter(segmenter, tmp_path / "one")
    found = load_segmenter(tmp_path / "one")
    assert (found.names, found.palette, found.metrics) == (
        segmenter.names,
        segmenter.palette,
        segmenter.metrics,
    )
    assert found.network.config == segmenter.network.config
    assert torch.equal(score(found), score(segmenter))
    save_segmenter(found, tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_file_of_16_bits_gives_the_same_classes_in_half_the_bytes(segmenter, tmp_path):
    for half in (False, True):
        save_segmenter(segmenter, tmp_path / str(half), half)
    found = load_segmenter(tmp_path / "True")
    assert all(one.dtype == torch.float32 for one in found.network.parameters())
    before, after = score(segmenter), score(found)
    difference = (after - before).abs().max()
    assert 0 < difference < 0.01 * before.abs().max()
    clear = (before[:, 0] - before[:, 1]).abs() > 2 * difference
    assert clear.float().mean() > 0.8
    assert torch.equal(after.argmax(1)[clear], before.argmax(1)[clear])
    sizes = [(tmp_path / str(half)).stat().st_size for half in (True, False)]
    assert sizes[0] < 0.52 * sizes[1]


def test_numbers_of_16_bits_come_back_exactly(segmenter):
    tensors, about = pack_segmenter(segmenter, half=True)
    again, _ = pack_segmenter(unpack_segmenter(dict(tensors), about), half=True)
    assert all(torch.equal(again[name], one) for name, one in tensors.items())


def test_counts_of_batch_normalisation_stay_whole_in_16_bits():
    network = FCN(FcnConfig(1, "thin", 32, fc6_padding=1)).eval()
    counts = network.get_buffer(COUNT)
    counts.fill_(70_001)  # more than 16 bits hold
    tensors, about = pack_segmenter(Segmenter(network, ("a",), ((0, 0, 0),), 64), half=True)
    found = unpack_segmenter(tensors, about).network.get_buffer(COUNT)
    assert (found.dtype, int(found)) == (torch.int64, 70_001)


@pytest.mark.parametrize(
    ("half", "name", "kind"),
    [
        (False, "score.weight", torch.half),
        (False, "score.weight", torch.double),
        (False, COUNT, torch.float),
        (True, "score.weight", torch.float),
        (True, "score.weight", torch.bfloat16),
        (True, COUNT, torch.half),
    ],
)
def test_weights_of_another_type_are_named(half, name, kind, segmenter):
    tensors, about = pack_segmenter(segmenter, half)
    with pytest.raises(ValueError, match=f"not those of the network: {name}"):
        unpack_segmenter(tensors | {name: tensors[name].to(kind)}, about)


@pytest.mark.parametrize("half", [False, True])
def test_to_pack_a_segmenter_leaves_it_as_it_is(half, segmenter):
    before = copy.deepcopy(segmenter.network.state_dict())
    pack_segmenter(segmenter, half)
    after = segmenter.network.state_dict()
    assert all(torch.equal(after[name], one) for name, one in before.items())
    assert all(after[name].dtype == one.dtype for name, one in before.items())


def refuse(segmenter: Segmenter, folder: Path, change: dict[str, Any]) -> str:
    tensors, about = pack_segmenter(segmenter)
    write_tensors(folder / "file", tensors, copy.deepcopy(about) | change)
    with pytest.raises(ValueError, match=r"\w") as refusal:
        load_segmenter(folder / "file")
    return str(refusal.value)


THIN = {"classes": 2, "encoder": "thin", "stride": 16, "fc6_padding": 1}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"format": "atelier-yolo-1"}, "format: "),
        ({"names": ["sky"]}, "2 classes need as many different names"),
        ({"names": ["sky", "sky"]}, "2 classes need as many different names"),
        ({"names": ["sky", ""]}, "names.1: "),
        ({"names": ["sky", "a" * 101]}, "names.1: "),
        ({"names": ["sky", "road\x1b[2J"]}, "cannot be shown"),
        ({"palette": [[1, 2, 3], [4, 5, 256]]}, "palette.1.2: "),
        ({"palette": [[1, 2, 3]]}, "2 classes need as many different names, and colours"),
        ({"resolution": 15}, "resolution: "),
        ({"resolution": 10**6}, "resolution: "),
        ({"metrics": {"mean_iou": "much"}}, "metrics.mean_iou: "),
        ({"metrics": {"mean_iou": float("nan")}}, "metrics.mean_iou: "),
        ({"metrics": {"m" * 10**6: 1.0}}, "metrics.mmm"),
        ({"metrics": {"iou \x1b[2J": 1.0}}, "cannot be shown"),
        ({"metrics": {str(n): 1.0 for n in range(MAX_METRICS + 1)}}, "metrics: "),
        ({"more": 1}, "more: "),
        ({"half": True}, "not those of the network: "),
        ({"network": THIN | {"stride": 8}}, "not those of the network: "),
        ({"network": THIN | {"more": 1}}, "network.more: "),
        ({"network": {"classes": 10**9, "encoder": "vgg16"}}, "classes need"),
        ({"network": {"classes": 2, "encoder": "vgg16", "fc6_padding": 2}}, "padding of fc6"),
        ({"network": {"classes": 2, "encoder": "vgg16"}}, "not those of the network: "),
        ({"network": None}, "network: "),
    ],
)
def test_what_is_no_segmenter_is_refused_by_its_place(change, why, segmenter, tmp_path):
    told = refuse(segmenter, tmp_path, change)
    assert why in told
    assert len(told) < 500
    assert "\x1b" not in told


def test_weights_of_another_shape_are_named(segmenter):
    tensors, about = pack_segmenter(segmenter)
    odd = tensors | {"score.bias": torch.zeros(3)}
    with pytest.raises(ValueError, match=r"not those of the network: score\.bias"):
        unpack_segmenter(odd, about)


def test_lists_of_models_show_classes_and_how_the_network_is_made(segmenter):
    assert segmenter.list_facts() == {
        "classes": ["sky", "road"],
        "colours": [[1, 2, 3], [4, 5, 6]],
        "encoder": "thin",
        "stride": 16,
        "resolution": 240,
    }
