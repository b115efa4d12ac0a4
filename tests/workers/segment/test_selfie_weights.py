"""The selfie network's published weights, and files of other networks refused."""

import json

import pytest
import torch
from torch import nn

from shared.weights import MissingWeights
from workers.runtime.tfjs import read_tfjs
from workers.segment.selfie import Selfie
from workers.segment.selfie_weights import fill_selfie, load_selfie


def test_all_numbers_but_those_of_the_activations_and_sizes_are_taken(weights):
    network = load_selfie(weights)
    stored = read_tfjs(weights / "selfie.json", weights / "selfie.bin")
    numbers = [one for one in stored.values() if one.is_floating_point() and one.dim()]
    taken = [*network.parameters()]
    assert sum(one.numel() for one in taken) == sum(one.numel() for one in numbers)
    # whichever comes where: the numbers themselves
    ours = torch.cat([one.detach().flatten() for one in taken]).sort().values
    assert torch.equal(ours, torch.cat([one.flatten() for one in numbers]).sort().values)
    assert not network.training


def test_a_kernel_lies_as_torch_has_it(weights):
    network = load_selfie(weights)
    stored = read_tfjs(weights / "selfie.json", weights / "selfie.bin")
    assert torch.equal(network.stem.weight, stored["Conv2D/filter"].permute(3, 2, 0, 1))
    assert torch.equal(network.stem.bias, stored["conv2d_1/y"])
    look = network.decoders[2].look
    assert torch.equal(look.weight[:, 0], stored["depthwise_10/filter_in"][..., 0].permute(2, 0, 1))
    assert torch.equal(look.bias, stored["depthwise_conv2d_10/y"])


def test_weights_of_another_network_are_refused(weights):
    network = Selfie()
    network.stem = nn.Conv2d(3, 24, 3)
    with pytest.raises(ValueError, match="another network"):
        fill_selfie(network, weights / "selfie.json", weights / "selfie.bin")


def test_a_model_without_a_bias_is_refused(tmp_path, weights):
    description = json.loads((weights / "selfie.json").read_bytes())
    [group] = description["weightsManifest"]
    for entry in group["weights"]:
        entry["name"] = entry["name"].replace("segment_add", "other")
    model = tmp_path / "selfie.json"
    model.write_text(json.dumps(description))
    with pytest.raises(ValueError, match="another network"):
        fill_selfie(Selfie(), model, weights / "selfie.bin")


def test_files_that_were_not_fetched_are_missing(tmp_path):
    with pytest.raises(MissingWeights, match=r"atelier weights pull selfie\.json"):
        load_selfie(tmp_path)
