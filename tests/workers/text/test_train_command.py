"""The command line of training writes a model, its metrics, its losses and a sample."""

import json
from pathlib import Path

import pytest
import torch

from tests.workers.text.lessons import RHYME, make_pairs
from workers.runtime.images import decode
from workers.runtime.tensors import read_tensors
from workers.text.saved import load_classifier, load_language
from workers.text.train_command import main

SMALL = ["--hidden", "24", "--epochs", "6", "--learning-rate", "0.01", "--batch-size", "8"]
CPU = torch.device("cpu")


def run_command(data: Path, out: Path, *more: str) -> dict[str, float]:
    main(["--data", str(data), "--out", str(out), "--device", "cpu", *SMALL, *more])
    return json.loads((out / "metrics.json").read_text())


def test_a_language_model_by_the_equations_is_that_of_torch(tmp_path: Path):
    data = tmp_path / "rhyme.txt"
    data.write_text(RHYME)
    options = ["--unit", "characters", "--steps", "10"]
    fast = run_command(data, tmp_path / "fast", *options)
    written = run_command(data, tmp_path / "written", *options, "--written-out")
    assert fast["held_out_loss"] == pytest.approx(written["held_out_loss"], abs=1e-3)
    assert decode((tmp_path / "fast" / "loss.png").read_bytes()).size == (880, 550)
    assert (tmp_path / "fast" / "sample.txt").stat().st_size == 501
    known = load_language(*read_tensors(tmp_path / "fast" / "model.safetensors"), CPU)
    assert set(known.lexicon.words) == set(RHYME)


def test_a_classifier_is_written(tmp_path: Path):
    data = tmp_path / "moods.tsv"
    data.write_text("".join(f"{label}\t{text}\n" for label, text in make_pairs()))
    metrics = run_command(data, tmp_path, "--kind", "classifier", "--embedding", "8")
    assert metrics["held_out_majority"] == pytest.approx(1 / 3)
    known = load_classifier(*read_tensors(tmp_path / "model.safetensors"), CPU)
    assert known.labels == ("bad", "good", "odd")


def test_a_corpus_that_cannot_be_used_ends_with_a_line(tmp_path: Path):
    data = tmp_path / "short.txt"
    data.write_text("short")
    with pytest.raises(SystemExit, match="too few"):
        run_command(data, tmp_path)
    data.write_text(RHYME)
    with pytest.raises(SystemExit, match="No such file"):
        run_command(tmp_path / "none", tmp_path)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--epochs", "0"], "--epochs: Input should be greater"),
        (["--dropout", "1.5"], "--dropout: Input should be less"),
        (["--learning-rate", "nan"], "--learning-rate: "),
        (["--bidirectional"], "`bidirectional` is for a classifier"),
        (["--tied"], "`tied` is for"),
        (["--weight-decay", "-1"], "--weight-decay"),
        (["--threads", "0"], "--threads"),
    ],
)
def test_options_that_cannot_be_used_are_named(options: list[str], why: str, tmp_path, capsys):
    data = tmp_path / "rhyme.txt"
    data.write_text(RHYME)
    with pytest.raises(SystemExit) as ended:
        run_command(data, tmp_path, *options)
    assert ended.value.code == 2
    assert why in capsys.readouterr().err


def test_a_network_that_learned_nothing_is_not_written(tmp_path: Path):
    data = tmp_path / "rhyme.txt"
    data.write_text(RHYME)
    with pytest.raises(SystemExit, match="how frequent each token"):
        run_command(data, tmp_path, "--learning-rate", "1e-9")
    assert not (tmp_path / "model.safetensors").exists()
