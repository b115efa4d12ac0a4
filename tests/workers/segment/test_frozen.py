"""Stages of an encoder that a training leaves as they are."""

from dataclasses import replace

import pytest
import torch

from tests.workers.segment.coloured import make_pictures
from workers.segment.fcn_config import FcnConfig
from workers.segment.train import train
from workers.segment.train_options import Progress, TrainOptions
from workers.segment.weights import make_network

NETWORK = FcnConfig(3, "thin", 16, fc6_padding=1, at_once=True)
OPTIONS = TrainOptions(NETWORK, window=(48, 64), epochs=2, batch=4, validation=0.25, frozen=2)


def ignore(progress: Progress) -> None:
    """Nobody follows this training."""


@pytest.mark.parametrize("averaging", [0.0, 0.9])
def test_frozen_stages_keep_their_weights_and_norms(tmp_path, averaging):
    options = replace(OPTIONS, averaging=averaging)
    first = make_network(NETWORK, options.seed).state_dict()
    trained = train(options, make_pictures(12), ignore, tmp_path).network
    changed = {name for name, one in trained.state_dict().items() if not one.equal(first[name])}
    assert not {
        name for name in changed if name.startswith(("encoder.stages.0", "encoder.stages.1"))
    }
    assert {"encoder.stages.2.0.weight", "encoder.stages.2.1.running_mean"} <= changed


def test_so_they_do_in_every_stage_of_a_training(tmp_path):
    options = replace(OPTIONS, network=replace(NETWORK, at_once=False))
    first = make_network(options.stages[0], options.seed).state_dict()
    trained = train(options, make_pictures(12), ignore, tmp_path).network
    name = "encoder.stages.1.0.weight"
    assert torch.equal(trained.state_dict()[name], first[name])


@pytest.mark.parametrize("frozen", [-1, 6])
def test_an_encoder_has_five_stages(frozen):
    with pytest.raises(ValueError, match="five stages"):
        replace(OPTIONS, frozen=frozen)
