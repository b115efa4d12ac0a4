"""A painter in a file: what it is comes back, and nothing else is taken for one."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from workers.runtime.tensors import write_tensors
from workers.style.one_pass import OnePass, OnePassConfig
from workers.style.painter_file import (
    MAX_METRICS,
    Painter,
    load_painter,
    pack_painter,
    save_painter,
    unpack_painter,
)


@pytest.fixture(scope="module")
def painter() -> Painter:
    torch.manual_seed(0)
    return Painter(OnePass(OnePassConfig(4, 2)).eval(), {"end_style": 0.5})


@torch.inference_mode()
def paint(painter: Painter) -> Tensor:
    painted: Tensor = painter.network(torch.linspace(0, 1, 3 * 400).view(1, 3, 20, 20))
    return painted


def test_a_painter_comes_back_as_it_was(painter, tmp_path):
    save_painter(painter, tmp_path / "one")
    found = load_painter(tmp_path / "one")
    assert (found.network.config, found.metrics) == (painter.network.config, painter.metrics)
    assert not found.network.training
    assert torch.equal(paint(found), paint(painter))
    save_painter(found, tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_file_of_16_bits_paints_the_same_with_half_the_bytes(painter, tmp_path):
    for half in (False, True):
        save_painter(painter, tmp_path / str(half), half)
    found = load_painter(tmp_path / "True")
    assert all(one.dtype == torch.float32 for one in found.network.parameters())
    assert (paint(found) - paint(painter)).abs().max() < 0.01
    numbers = sum(one.numel() for one in painter.network.parameters())
    saved = (tmp_path / "False").stat().st_size - (tmp_path / "True").stat().st_size
    assert saved == pytest.approx(2 * numbers, abs=100)


def test_packing_changes_nothing(painter):
    before = copy.deepcopy(painter.network.state_dict())
    pack_painter(painter, half=True)
    after = painter.network.state_dict()
    assert all(torch.equal(after[name], one) for name, one in before.items())


def refuse(painter: Painter, folder: Path, change: dict[str, Any]) -> str:
    tensors, about = pack_painter(painter)
    write_tensors(folder / "file", tensors, copy.deepcopy(about) | change)
    with pytest.raises(ValueError, match=r"\w") as refusal:
        load_painter(folder / "file")
    return str(refusal.value)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"format": "atelier-fcn-1"}, "format: "),
        ({"metrics": {"end_style": "much"}}, "metrics.end_style: "),
        ({"metrics": {"end_style": float("nan")}}, "metrics.end_style: "),
        ({"metrics": {"m" * 10**6: 1.0}}, "metrics.mmm"),
        ({"metrics": {"a \x1b[2J": 1.0}}, "cannot be shown"),
        ({"metrics": {str(n): 1.0 for n in range(MAX_METRICS + 1)}}, "metrics: "),
        ({"more": 1}, "more: "),
        ({"half": True}, "not those of the network: "),
        ({"network": {"width": 8, "blocks": 2}}, "not those of the network: "),
        ({"network": {"width": 4, "blocks": 3}}, "not those of the network: "),
        ({"network": {"width": 10**9, "blocks": 2}}, "between 1 and 64"),
        ({"network": {"width": 0, "blocks": 2}}, "between 1 and 64"),
        ({"network": {"width": 4, "blocks": 10**9}}, "between 1 and 16"),
        ({"network": {"width": "4", "blocks": 2}}, "network.width: "),
        ({"network": {"width": 4, "blocks": 2, "more": 1}}, "network.more: "),
        ({"network": None}, "network: "),
    ],
)
def test_what_is_no_painter_is_refused_by_its_place(change, why, painter, tmp_path):
    told = refuse(painter, tmp_path, change)
    assert why in told
    assert len(told) < 500
    assert "\x1b" not in told


def test_weights_of_another_shape_are_named(painter):
    tensors, about = pack_painter(painter)
    odd = tensors | {"head.bias": torch.zeros(4)}
    with pytest.raises(ValueError, match=r"not those of the network: head\.bias"):
        unpack_painter(odd, about)


def test_lists_of_models_show_how_the_network_is_made(painter):
    assert painter.list_facts() == {"width": 4, "blocks": 2}
