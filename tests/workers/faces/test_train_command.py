"""The command line of training."""

import json
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import distributed

from workers.faces.siamese import load_network
from workers.faces.train_command import main


@pytest.fixture(scope="module")
def people(tmp_path_factory) -> Path:
    """Eight folders of four noisy pictures."""
    folder = tmp_path_factory.mktemp("people")
    chance = np.random.default_rng(0)
    for person in range(8):
        (folder / f"person{person}").mkdir()
        face = chance.uniform(50, 200, (16, 16))
        for number in range(4):
            noisy = (face + chance.normal(0, 10, face.shape)).clip(0, 255).astype(np.uint8)
            Image.fromarray(noisy).save(folder / f"person{person}" / f"{number}.png")
    return folder


def list_arguments(people: Path, out: Path) -> list[str]:
    return ["--data", str(people), "--out", str(out), "--side", "16", "--steps", "6"]


@pytest.fixture(scope="module")
def alone(people, tmp_path_factory) -> Path:
    """What one process wrote."""
    out = tmp_path_factory.mktemp("alone")
    main(list_arguments(people, out))
    return out


def test_it_writes_the_network_its_metrics_and_its_curve(alone):
    metrics = json.loads((alone / "metrics.json").read_text())
    assert metrics["steps"] == 6
    assert metrics["genuine_pairs"] == 2 * 6  # two people were held back
    assert 0 <= metrics["eer"] <= 1
    assert load_network(alone / "siamese.safetensors").architecture.side == 16
    with Image.open(alone / "roc.png") as roc:
        assert roc.format == "PNG"


def test_nobody_need_be_held_back(people, tmp_path):
    main([*list_arguments(people, tmp_path), "--test", "0", "--validation", "0"])
    assert "eer" not in json.loads((tmp_path / "metrics.json").read_text())
    assert not (tmp_path / "roc.png").exists()


def test_a_process_of_torchrun_joins_the_others_and_learns_the_same(
    people, alone, tmp_path, monkeypatch
):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    torchrun = {"RANK": 0, "WORLD_SIZE": 1, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    for name, value in torchrun.items():
        monkeypatch.setenv(name, str(value))
    main(list_arguments(people, tmp_path))
    assert not distributed.is_initialized()
    ours = load_network(tmp_path / "siamese.safetensors").state_dict()
    theirs = load_network(alone / "siamese.safetensors").state_dict()
    assert all(torch.equal(weights, theirs[name]) for name, weights in ours.items())
