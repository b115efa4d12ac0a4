"""The command line of training a detector."""

import json
import socket
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import distributed

from tests.workers.detect.coloured import write_yolo
from workers.detect.detector_file import load_detector, save_classifier
from workers.detect.train_command import main, make_options, make_parser
from workers.detect.training_tasks import NO_CHANGE
from workers.detect.yolo_v1 import ImageClassifier
from workers.runtime.checkpoints import CHECKPOINT
from workers.runtime.tensors import read_tensors

TINY = ["--side", "64", "--grid", "4", "--batch", "4", "--epochs", "3"]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    write_yolo(folder, 12)
    return folder


@pytest.fixture(scope="module")
def alone(pictures, tmp_path_factory) -> Path:
    """What one process wrote."""
    out = tmp_path_factory.mktemp("alone")
    main(["--data", str(pictures), "--out", str(out), *TINY])
    return out


def test_it_writes_the_detector_its_metrics_and_its_curves(alone):
    metrics = json.loads((alone / "metrics.json").read_text())
    assert metrics["epochs"] == 3
    assert 1 <= metrics["best_epoch"] <= 3
    assert 0 <= metrics["map50_of_sure"] <= metrics["map50"] <= 1
    assert metrics["map50"] == pytest.approx((metrics["ap50 red"] + metrics["ap50 blue"]) / 2)
    detector = load_detector(alone / "detector.safetensors")
    assert detector.names == ("red", "blue")
    assert detector.metrics == metrics
    assert detector.network.config.grid == 4
    with Image.open(alone / "precision_recall.png") as curves:
        assert curves.format == "PNG"


def test_nothing_need_be_held_back(pictures, tmp_path):
    main(["--data", str(pictures), "--out", str(tmp_path), *TINY, "--held-out", "0"])
    assert "map50" not in json.loads((tmp_path / "metrics.json").read_text())
    assert not (tmp_path / "precision_recall.png").exists()


def refuse(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    """What a command that cannot work prints."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    return capsys.readouterr().err


def test_a_classifier_is_handed_over_to_a_network_that_begins_as_it_does(
    pictures, tmp_path, capsys
):
    save_classifier(ImageClassifier(2), tmp_path / "classifier")
    given = ["--data", str(pictures), "--out", str(tmp_path), *TINY]
    told = refuse(capsys, [*given, "--classifier", str(tmp_path / "classifier")])
    assert "other layers than the detector" in told


def test_another_training_in_the_same_folder_is_told_what_to_do(pictures, alone, capsys):
    given = ["--data", str(pictures), "--out", str(alone), *TINY, "--seed", "1"]
    told = refuse(capsys, given)
    assert "other options or data. Remove it or choose another --out." in told


def test_it_takes_the_options_of_the_task(pictures, tmp_path):
    more = ["--no-flip", "--confidence", "one", "--weight-decay", "0", "--format", "yolo"]
    given = ["--data", str(pictures), "--out", str(tmp_path), *TINY, *more]
    main([*given, "--score-threshold", "0.125"])
    _, about = read_tensors(tmp_path / CHECKPOINT)
    options = about["origin"]["options"]
    assert (options["augmentation"]["flip"], options["loss"]["confidence"]) == (0, "one")
    assert options["weight_decay"] == 0
    assert load_detector(tmp_path / "detector.safetensors").suppression.score_threshold == 0.125


def test_pictures_need_not_be_changed():
    given = make_parser().parse_args(["--data", "x", "--out", "x", *TINY, "--no-augment"])
    assert make_options(given, 2).augmentation == NO_CHANGE


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--grid", "5"], "The side of small is 16 or 32 pixels"),
        (["--parts", "5"], "cannot be 5 parts"),
        (["--held-out", "1"], "no object to learn from"),
        (["--side", "32", "--grid", "1", "--batch", "1"], "batch normalisation has one number"),
        (["--format", "coco"], "COCO"),
        (["--score-threshold", "2"], "from 0 to 1"),
        (["--classifier", "nowhere"], "nowhere"),
        (["--preset", "efficientnet-lite0", "--weights", "nowhere"], "atelier weights pull"),
        (["--data", "nowhere"], "nowhere is not a folder"),
        (["--data", "."], "no labels"),
    ],
    ids=[
        "grid",
        "parts",
        "held-out",
        "one",
        "format",
        "threshold",
        "classifier",
        "weights",
        "folder",
        "labels",
    ],
)
def test_what_cannot_work_is_told_in_one_line(
    pictures, tmp_path, monkeypatch, capsys, options, text
):
    monkeypatch.chdir(tmp_path)
    told = refuse(capsys, ["--data", str(pictures), "--out", "out", *TINY, *options])
    assert text in told
    assert told.count("\n") == 1


def test_a_known_network_may_start_by_chance(pictures, tmp_path):
    given = ["--preset", "efficientnet-lite0", "--no-pretrained", "--weights", "nowhere"]
    main(["--data", str(pictures), "--out", str(tmp_path), *TINY, "--epochs", "1", *given])
    network = load_detector(tmp_path / "detector.safetensors").network
    assert network.config.preset == "efficientnet-lite0"


def test_a_process_of_torchrun_joins_the_others_and_learns_the_same(
    pictures, alone, tmp_path, monkeypatch
):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    torchrun = {"RANK": 0, "WORLD_SIZE": 1, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    for name, value in torchrun.items():
        monkeypatch.setenv(name, str(value))
    main(["--data", str(pictures), "--out", str(tmp_path), *TINY])
    assert not distributed.is_initialized()
    ours = load_detector(tmp_path / "detector.safetensors").network.state_dict()
    theirs = load_detector(alone / "detector.safetensors").network.state_dict()
    assert all(torch.equal(weights, theirs[name]) for name, weights in ours.items())
