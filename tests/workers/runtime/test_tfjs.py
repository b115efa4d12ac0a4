"""The TensorFlow.js format: numbers found by name, and files refused that do not fit."""

import json
import re
import struct
from pathlib import Path

import pytest
import torch
from torch import nn

from workers.runtime.tfjs import by_number, fill, read_tfjs

HALF = {"dtype": "float16", "original_dtype": "float32"}
ENTRIES = [
    {"name": "shape", "shape": [3], "dtype": "int32"},
    {"name": "kernel", "shape": [2, 1], "dtype": "float32", "quantization": HALF},
    {"name": "slope", "shape": [], "dtype": "float32"},
]
NUMBERED = re.compile(r"PartitionedCall/split(?:_(\d+))?")
CONTENT = struct.pack("<3i2ef", 1, -2, 70000, 0.5, -3.0, 0.1)


def write_model(
    folder: Path, content: bytes, *groups: list[dict[str, object]]
) -> tuple[Path, Path]:
    model, weights = folder / "net.json", folder / "net.bin"
    model.write_text(json.dumps({"weightsManifest": [{"weights": group} for group in groups]}))
    weights.write_bytes(content)
    return model, weights


@pytest.mark.parametrize("groups", [[ENTRIES], [ENTRIES[:1], ENTRIES[1:]]])
def test_tensors_are_read_by_name_with_their_shapes_and_types(tmp_path, groups):
    tensors = read_tfjs(*write_model(tmp_path, CONTENT, *groups))
    assert list(tensors) == ["shape", "kernel", "slope"]
    assert torch.equal(tensors["shape"], torch.tensor([1, -2, 70000], dtype=torch.int32))
    assert torch.equal(tensors["kernel"], torch.tensor([[0.5], [-3.0]]))
    assert torch.equal(tensors["slope"], torch.tensor(0.1))


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"\0", b""])
def test_a_file_of_another_length_is_refused(tmp_path, content):
    with pytest.raises(ValueError, match="bytes"):
        read_tfjs(*write_model(tmp_path, content, ENTRIES))


def test_numbers_stored_in_another_way_are_refused(tmp_path):
    scaled = {"dtype": "uint8", "scale": 0.1, "min": -1.0}
    entry = {"name": "kernel", "shape": [1], "dtype": "float32", "quantization": scaled}
    with pytest.raises(ValueError, match="kernel is stored as uint8"):
        read_tfjs(*write_model(tmp_path, b"\7", [entry]))


def test_kernels_follow_the_numbers_in_their_names():
    names = [f"PartitionedCall/{end}" for end in ("split_10", "split_2", "split", "split_1/dim")]
    tensors = {name: torch.tensor(float(place)) for place, name in enumerate(names)}
    assert by_number(tensors, NUMBERED) == [2.0, 1.0, 0.0]


def test_whole_numbers_are_no_parameters():
    tensors = {
        "PartitionedCall/split": torch.tensor([1, 80, -1]),
        "PartitionedCall/split_1": torch.zeros(1),
    }
    assert [tensor.dtype for tensor in by_number(tensors, NUMBERED)] == [torch.float32]


def test_parameters_get_their_numbers():
    parameters = [nn.Parameter(torch.zeros(2, 1)), nn.Parameter(torch.zeros(3))]
    tensors = [torch.tensor([[1.0], [2.0]]), torch.tensor([3.0, 4.0, 5.0])]
    fill(parameters, tensors, Path("net.json"))
    for parameter, tensor in zip(parameters, tensors, strict=True):
        assert torch.equal(parameter, tensor)
        assert parameter.requires_grad


@pytest.mark.parametrize("shapes", [[], [(2,)], [(3,), (2,)], [(2,), (3,), (1,)]])
def test_numbers_of_another_network_are_refused_and_none_is_taken(shapes):
    parameters = [nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(3))]
    with pytest.raises(ValueError, match=r"net\.json holds another network"):
        fill(parameters, [torch.ones(shape) for shape in shapes], Path("net.json"))
    assert not any(parameter.any() for parameter in parameters)
