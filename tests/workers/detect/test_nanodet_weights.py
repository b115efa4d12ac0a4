"""NanoDet's published weights: those of each convolution, and files of other networks refused."""

import pytest
import torch

from workers.detect.nanodet import NanoDet
from workers.detect.nanodet_weights import load_nanodet
from workers.runtime.tfjs import read_tfjs


def test_the_first_kernel_is_turned_from_blue_green_red(weights):
    model, numbers = weights / "nanodet-g.json", weights / "nanodet-g.bin"
    network = NanoDet()
    load_nanodet(network, model, numbers)
    stored = read_tfjs(model, numbers)["PartitionedCall/split"]  # (height, width, inputs, outputs)
    kernel = network.stem.conv.weight
    for ours, theirs in ((0, 2), (1, 1), (2, 0)):
        assert torch.equal(kernel[:, ours].permute(1, 2, 0), stored[:, :, theirs])


@pytest.mark.parametrize("classes", [20, 81])
def test_weights_of_another_network_are_refused(weights, classes):
    with pytest.raises(ValueError, match="another network"):
        load_nanodet(NanoDet(classes), weights / "nanodet-g.json", weights / "nanodet-g.bin")


def test_a_model_without_its_convolutions_is_refused(tmp_path):
    model, weights = tmp_path / "net.json", tmp_path / "net.bin"
    model.write_text('{"weightsManifest": []}')
    weights.write_bytes(b"")
    with pytest.raises(ValueError, match="another network"):
        load_nanodet(NanoDet(), model, weights)
