"""The command line of training a segmentation network."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.workers.segment.coloured import write_pictures
from workers.segment.encoders import read_encoder
from workers.segment.segmenter_file import load_segmenter
from workers.segment.train_command import main, make_options, make_parser

TINY = ["--height", "48", "--width", "64", "--stride", "16", "--batch", "4", "--epochs", "2"]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    write_pictures(folder, 12)
    return folder


def test_it_writes_the_network_its_metrics_and_its_curves(pictures, tmp_path):
    main(["--data", str(pictures), "--out", str(tmp_path), *TINY])
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


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--fc6-padding", "3"], "The padding of fc6 must be 0, 1 or 100"),
        (["--epochs", "0"], "must be 1 or more"),
        (["--frozen", "2"], "use 0, or another `encoder`"),
        (["--parts", "5"], "cannot be 5 parts"),
        (["--validation", "1"], "no pixel with a class"),
        (["--encoder", "vgg16", "--weights", "nowhere"], "Run `atelier weights pull vgg16.onnx`"),
    ],
)
def test_what_cannot_be_trained_is_refused(pictures, tmp_path, capsys, arguments, reason):
    with pytest.raises(SystemExit) as ended:
        main(["--data", str(pictures), "--out", str(tmp_path), *TINY, *arguments])
    assert ended.value.code == 2
    assert reason in capsys.readouterr().err


def test_folders_without_masks_are_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["--data", str(tmp_path), "--out", str(tmp_path)])
    assert "There are no masks" in capsys.readouterr().err


def test_vgg16_starts_with_the_weights_of_imagenet(weights):
    encoder = read_encoder("vgg16", weights)
    assert encoder is not None
    assert encoder["stages.0.0.bias"][0].item() == pytest.approx(0.73429835)


def test_fc6_is_padded_by_half_its_kernel_unless_said_otherwise():
    given = ["--data", "x", "--out", "x", "--encoder", "vgg16"]
    assert make_options(make_parser().parse_args(given), 21).network.fc6_padding == 3
