"""The command line of training a segmentation network."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.workers.segment.coloured import write_pictures
from tests.workers.segment.mask_files import make_mask
from workers.runtime import memory
from workers.segment.encoders import read_encoder
from workers.segment.segmenter_file import load_segmenter
from workers.segment.train_command import main, make_options, make_parser
from workers.segment.training_contract import TrainRequest
from workers.segment.training_tasks import NO_CHANGE, read_options

TINY = ["--encoder", "thin", "--height", "48", "--width", "64", "--stride", "16", "--batch", "4"]
TINY += ["--epochs", "2", "--averaging", "0"]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    write_pictures(folder, 12)
    return folder


def test_it_writes_the_network_its_metrics_and_its_curves(pictures, tmp_path):
    main(["--data", str(pictures), "--out", str(tmp_path), *TINY, "--staged"])
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["epochs"] == 4
    assert metrics["best_epoch"] in (3, 4)
    ious = [metrics[f"iou {name}"] for name in ("0", "1", "2")]
    assert metrics["mean_iou"] == pytest.approx(sum(ious) / 3)
    segmenter = load_segmenter(tmp_path / "segmenter.safetensors")
    assert segmenter.names == ("0", "1", "2")
    assert segmenter.metrics == metrics
    assert segmenter.network.config.stride == 16
    with Image.open(tmp_path / "curves.png") as curves:
        assert curves.format == "PNG"


def test_the_file_can_be_half_as_large(pictures, tmp_path):
    main(["--data", str(pictures), "--out", str(tmp_path), *TINY, "--epochs", "1", "--half"])
    path = tmp_path / "segmenter.safetensors"
    network = load_segmenter(path).network
    numbers = sum(one.numel() for one in network.state_dict().values())
    assert path.stat().st_size == pytest.approx(2 * numbers, rel=0.02)
    assert network.fc7[0].weight.dtype == torch.float32


def test_nothing_need_be_held_back(pictures, tmp_path):
    main(["--data", str(pictures), "--out", str(tmp_path), *TINY, "--validation", "0"])
    assert "mean_iou" not in json.loads((tmp_path / "metrics.json").read_text())


def refuse(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--fc6-padding", "3"], "The padding of fc6 must be 0, 1 or 100"),
        (["--epochs", "0"], "--epochs: Input should be greater than or equal to 1."),
        (["--check-every", "0"], "must be 1 or more"),
        (["--learning-rate", "-1"], "--learning-rate: Input should be greater than 0."),
        (["--averaging", "1"], "--averaging: Input should be less than 1."),
        (["--resolution", "1"], "--resolution: Input should be greater than or equal to 16."),
        (["--frozen", "2"], "use 0, or another `encoder`"),
        (["--parts", "5"], "5 parts"),
        (["--validation", "1"], "--held-out: Input should be less than or equal to 0.9."),
        (["--format", "voc"], "There are no pictures with a mask"),
        (["--encoder", "vgg16", "--weights", "nowhere"], "Run `atelier weights pull vgg16.onnx`"),
        (["--data", "nowhere"], "nowhere is not a folder"),
        (["--data", "."], "There are no masks"),
    ],
    ids=lambda value: value[0].removeprefix("--") if isinstance(value, list) else "",
)
def test_what_cannot_be_trained_is_told_in_one_line(
    pictures, tmp_path, monkeypatch, capsys, arguments, reason
):
    monkeypatch.chdir(tmp_path)
    told = refuse(capsys, ["--data", str(pictures), "--out", str(tmp_path), *TINY, *arguments])
    assert reason in told
    assert told.count("\n") == 1


def test_a_training_that_diverges_is_told_in_one_line(pictures, tmp_path, capsys):
    given = ["--optimiser", "sgd", "--learning-rate", "10", "--weight-decay", "1", "--epochs", "20"]
    arguments = ["--data", str(pictures), "--out", str(tmp_path), *TINY, *given, "--batch", "1"]
    assert "Lower `learning_rate`" in refuse(capsys, arguments)
    assert not (tmp_path / "segmenter.safetensors").exists()


def test_a_network_that_finds_nothing_is_not_written(pictures, tmp_path, capsys):
    for name in ("images", "masks"):
        shutil.copytree(pictures / name, tmp_path / "data" / "train" / name)
        shutil.copytree(pictures / name, tmp_path / "data" / "val" / name)
    for part, index in (("train", 0), ("val", 1)):  # what is to be found is never learned
        for path in (tmp_path / "data" / part / "masks").iterdir():
            path.write_bytes(make_mask(index, size=(64, 64)))
    arguments = ["--data", str(tmp_path / "data"), "--out", str(tmp_path / "out"), *TINY]
    assert "It found no class" in refuse(capsys, [*arguments, "--epochs", "1"])
    assert not (tmp_path / "out" / "segmenter.safetensors").exists()


def test_another_training_in_the_same_folder_is_told_what_to_do(pictures, tmp_path, capsys):
    arguments = ["--data", str(pictures), "--out", str(tmp_path), *TINY, "--epochs", "1"]
    main(arguments)
    told = refuse(capsys, [*arguments, "--seed", "1"])
    assert "other options or data. Remove it or choose another --out." in told


def test_what_takes_too_much_memory_is_refused(pictures, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(memory, "find_memory", lambda: 2**20)
    told = refuse(capsys, ["--data", str(pictures), "--out", str(tmp_path), *TINY])
    assert "Training would take" in told


def test_it_trains_what_the_task_trains_unless_told_otherwise():
    options = make_options(make_parser().parse_args(["--data", "x", "--out", "x"]), 5)
    assert options == read_options(TrainRequest(data="x"), 5)


def test_it_takes_the_options_of_the_task():
    fields = {
        "encoder": "vgg16-slim",
        "stride": 16,
        "at_once": False,
        "fc6_padding": 0,
        "pretrained": False,
        "height": 64,
        "width": 96,
        "epochs": 3,
        "batch_size": 2,
        "parts": 2,
        "flip": False,
        "optimiser": "sgd",
        "learning_rate": 0.5,
        "weight_decay": 0.0,
        "balanced": True,
        "averaging": 0.5,
        "held_out": 0.5,
        "resolution": 100,
        "seed": 3,
    }
    given = (
        "--data x --out x --encoder vgg16-slim --stride 16 --staged --fc6-padding 0 "
        "--no-pretrained --height 64 --width 96 --epochs 3 --batch 2 --parts 2 --no-flip "
        "--optimiser sgd --learning-rate 0.5 --weight-decay 0 --balanced --averaging 0.5 "
        "--held-out 0.5 --resolution 100 --seed 3"
    )
    options = make_options(make_parser().parse_args(given.split()), 5)
    assert options == read_options(TrainRequest(data="x", **fields), 5)


def test_pictures_need_not_be_changed():
    given = make_parser().parse_args(["--data", "x", "--out", "x", "--no-augment"])
    assert make_options(given, 2).augmentation == NO_CHANGE


def test_the_file_tells_the_resolution_that_was_asked_for(pictures, tmp_path):
    arguments = ["--data", str(pictures), "--out", str(tmp_path), *TINY, "--epochs", "1"]
    main([*arguments, "--resolution", "48"])
    assert load_segmenter(tmp_path / "segmenter.safetensors").resolution == 48


def test_vgg16_starts_with_the_weights_of_imagenet(weights):
    encoder = read_encoder("vgg16", weights)
    assert encoder is not None
    assert encoder["stages.0.0.bias"][0].item() == pytest.approx(0.73429835)


def test_fc6_is_padded_by_half_its_kernel_unless_said_otherwise():
    given = ["--data", "x", "--out", "x", "--encoder", "vgg16"]
    assert make_options(make_parser().parse_args(given), 21).network.fc6_padding == 3
