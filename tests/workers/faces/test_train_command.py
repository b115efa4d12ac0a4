"""The command line of training, run by one process and by two."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from workers.faces.siamese import load_network
from workers.faces.train_command import main

ROOT = Path(__file__).parents[3]


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


def test_two_processes_learn_what_one_learns(people, alone, tmp_path):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    subprocess.run(
        [*torchrun, "-m", "workers.faces.train", *list_arguments(people, tmp_path)],
        check=True,
        capture_output=True,
        timeout=200,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
    )
    ours = load_network(tmp_path / "siamese.safetensors").state_dict()
    theirs = load_network(alone / "siamese.safetensors").state_dict()
    for name, weights in ours.items():
        assert torch.allclose(weights, theirs[name], atol=1e-4), name
