"""Darknet's weights format, written here by its definition and read back."""

import struct
from pathlib import Path

import pytest
import torch

from workers.detect.darknet import load_darknet, read_floats, tensors_in_file_order
from workers.detect.model import YoloV3Tiny


def write(path: Path, version: tuple[int, int], numbers: torch.Tensor) -> Path:
    seen = struct.pack("<q", 12) if (0, 2) <= version < (1000, 0) else struct.pack("<i", 12)
    path.write_bytes(struct.pack("<iii", *version, 0) + seen + numbers.numpy().tobytes())
    return path


@pytest.mark.parametrize("version", [(0, 1), (0, 2), (1000, 0)])
def test_both_header_lengths_are_read(version, tmp_path):
    numbers = torch.arange(5, dtype=torch.float32)
    assert torch.equal(read_floats(write(tmp_path / "net", version, numbers)), numbers)


def test_every_number_lands_where_darknet_keeps_it(tmp_path):
    network = YoloV3Tiny(classes=2)
    total = sum(tensor.numel() for tensor in tensors_in_file_order(network))
    load_darknet(network, write(tmp_path / "net", (0, 2), torch.arange(total).float()))
    first = network.trunk[0]  # 16 filters of 3 x 3 x 3: shifts, scales, means, variances, filters
    assert first.norm.bias.tolist() == list(range(16))
    assert first.norm.weight[0] == 16
    assert first.norm.running_mean[0] == 32
    assert first.norm.running_var[0] == 48
    assert first.conv.weight[0, 0].flatten().tolist() == list(range(64, 73))
    assert network.fine[1].weight.flatten()[-1] == torch.tensor(float(total - 1))


def test_every_parameter_and_statistic_is_in_the_file():
    network = YoloV3Tiny()
    state = {id(tensor) for tensor in network.state_dict(keep_vars=True).values()}
    counters = {id(b) for name, b in network.named_buffers() if name.endswith("batches_tracked")}
    assert {id(tensor) for tensor in tensors_in_file_order(network)} == state - counters


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "too short"),
        (b"abcdefghijk", "too short"),
        (struct.pack("<iii", 0, 2, 0), "whole numbers"),  # without the count of pictures
        (struct.pack("<iiiq", 0, 2, 0, 0) + b"abc", "whole numbers"),
    ],
)
def test_what_is_no_darknet_file_is_refused(content, why, tmp_path):
    (tmp_path / "net").write_bytes(content)
    with pytest.raises(ValueError, match=why):
        load_darknet(YoloV3Tiny(classes=2), tmp_path / "net")


def test_numbers_that_are_not_finite_are_refused(tmp_path):
    network = YoloV3Tiny(classes=2)
    numbers = torch.zeros(sum(tensor.numel() for tensor in tensors_in_file_order(network)))
    numbers[7] = float("inf")
    with pytest.raises(ValueError, match="not finite"):
        load_darknet(network, write(tmp_path / "net", (0, 2), numbers))


@pytest.mark.parametrize("change", [-1, 1])
def test_a_file_for_another_network_is_refused(change, tmp_path):
    network = YoloV3Tiny(classes=2)
    total = sum(tensor.numel() for tensor in tensors_in_file_order(network))
    path = write(tmp_path / "net", (0, 2), torch.zeros(total + change))
    with pytest.raises(ValueError, match=f"the network needs {total}"):
        load_darknet(network, path)


def test_a_folded_network_cannot_be_loaded(tmp_path):
    network = YoloV3Tiny(classes=2).eval()
    network.fuse()
    with pytest.raises(TypeError, match="fuse after loading"):
        load_darknet(network, write(tmp_path / "net", (0, 2), torch.zeros(1)))
