"""The command line of training a one-pass network."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.workers.file_sets import fill
from tests.workers.style.desk import draw_stripes, save
from tests.workers.style.networks import draw_features
from tests.workers.style.small_trainings import make_files
from workers.runtime import memory
from workers.runtime.run import InvalidInput
from workers.style import train_command
from workers.style.painter_file import load_painter
from workers.style.train_command import main, make_options, make_parser
from workers.style.training_contract import TrainRequest
from workers.style.training_tasks import read_options

TINY = ["--window", "32", "--style-size", "32", "--batch-size", "2"]
TINY += ["--width", "4", "--blocks", "1", "--steps", "6"]


@pytest.fixture
def given(tmp_path: Path) -> list[str]:
    """What the command is told of files."""
    fill(tmp_path / "pictures", make_files())
    (tmp_path / "stripes.png").write_bytes(save(draw_stripes()))
    paths = {"style": "stripes.png", "data": "pictures", "out": "out"}
    return [word for name, path in paths.items() for word in (f"--{name}", str(tmp_path / path))]


@pytest.fixture
def small_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of VGG16."""
    monkeypatch.setattr(train_command, "load_features", lambda *_: draw_features())


@pytest.mark.usefixtures("small_network")
def test_it_writes_the_network_its_losses_and_what_it_paints(given, tmp_path):
    main([*given, *TINY])
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["steps"] == 6
    assert metrics["end_total"] < metrics["start_total"]
    painter = load_painter(tmp_path / "out" / "painter.safetensors")
    assert (painter.metrics, painter.network.config.width) == (metrics, 4)
    for name, kind in (("curve.png", "PNG"), ("samples.jpg", "JPEG")):
        with Image.open(tmp_path / "out" / name) as picture:
            assert picture.format == kind


@pytest.mark.usefixtures("small_network")
def test_the_file_can_be_half_as_large(given, tmp_path):
    main([*given, *TINY, "--half"])
    path = tmp_path / "out" / "painter.safetensors"
    network = load_painter(path).network
    numbers = sum(one.numel() for one in network.parameters())
    assert path.stat().st_size < 3 * numbers
    assert network.head.weight.dtype == torch.float32


def refuse(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    return capsys.readouterr().err


@pytest.mark.usefixtures("small_network")
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--steps", "0"], "--steps: Input should be greater than or equal to 1."),
        (["--style-weight", "-1"], "--style-weight: Input should be greater than or equal to 0."),
        (["--style-weight", "0"], "there is no style to learn"),
        (["--content-layer", "relu9_9"], "--content-layer: String should match"),
        (["--style-layers", "relu1_1", "relu3_4"], "vgg16 has no layer 'relu3_4'"),
        (["--tv-weight", "1e12", "--learning-rate", "0.1", "--steps", "30"], "in one colour"),
        (["--data", "nowhere"], "nowhere is not a folder"),
        (["--data", "empty"], "None of the 0 files is a picture"),
        (["--style", "nowhere.png"], "No such file or directory: 'nowhere.png'"),
        (["--style", "text.png"], "not a JPEG, PNG or WEBP"),
    ],
    ids=lambda value: "".join(value[:2]).strip("-") if isinstance(value, list) else "",
)
def test_what_cannot_be_trained_is_told_in_one_line(
    given, tmp_path, monkeypatch, capsys, arguments, reason
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.png").write_text("no picture")
    told = refuse(capsys, [*given, *TINY, *arguments])
    assert reason in told
    assert told.count("\n") == 1
    assert not (tmp_path / "out" / "painter.safetensors").exists()


@pytest.mark.usefixtures("small_network")
def test_another_training_in_the_same_folder_is_told_what_to_do(given, capsys):
    main([*given, *TINY])
    told = refuse(capsys, [*given, *TINY, "--seed", "1"])
    assert "other options or data. Remove it or choose another --out." in told


@pytest.mark.usefixtures("small_network")
def test_what_takes_too_much_memory_is_refused(given, monkeypatch, capsys):
    monkeypatch.setattr(memory, "find_memory", lambda: 2**18)
    assert "Training would take" in refuse(capsys, [*given, *TINY])


@pytest.mark.usefixtures("small_network")
def test_the_setting_says_how_often_it_saves(given, monkeypatch, capsys):
    def tell(*_, save_every: float) -> None:
        raise InvalidInput(f"It saves every {save_every} seconds.")

    monkeypatch.setenv("ATELIER_CHECKPOINT_EVERY", "7")
    monkeypatch.setattr(train_command, "train", tell)
    assert "It saves every 7.0 seconds." in refuse(capsys, [*given, *TINY])


def test_without_vgg16_it_tells_how_to_get_it(given, tmp_path, capsys):
    told = refuse(capsys, [*given, *TINY, "--weights", str(tmp_path / "none")])
    assert "atelier weights pull vgg16.onnx" in told


def test_it_trains_what_the_task_trains_unless_told_otherwise():
    options = make_options(make_parser().parse_args(["--style", "x", "--data", "x", "--out", "x"]))
    assert options == read_options(TrainRequest(style="x", data="x"))


def test_it_takes_the_options_of_the_task():
    fields = {
        "window": 64,
        "style_size": 100,
        "steps": 7,
        "batch_size": 3,
        "width": 8,
        "blocks": 2,
        "content_layer": "conv4_2",
        "style_layers": ["relu1_1", "pool3"],
        "content_weight": 2.0,
        "style_weight": 3.0,
        "tv_weight": 0.0,
        "learning_rate": 0.5,
        "seed": 3,
    }
    given = (
        "--style x --data x --out x --window 64 --style-size 100 --steps 7 --batch-size 3 "
        "--width 8 --blocks 2 --content-layer conv4_2 --style-layers relu1_1 pool3 "
        "--content-weight 2 --style-weight 3 --tv-weight 0 --learning-rate 0.5 --seed 3"
    )
    options = make_options(make_parser().parse_args(given.split()))
    assert options == read_options(TrainRequest(style="x", data="x", **fields))
    plain = TrainRequest(style="x", data="x").model_dump()
    assert all(plain[name] != value for name, value in fields.items())
