"""`atelier style train | models | promote | forget | export | import`."""

import json
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.client.cli import app
from services.client.watch import Watch
from tests.services.client.fake_api import FakeApi
from tests.services.client.fake_style import CURVE, FILE, SAMPLES, FakeStyle
from workers.style.model_contract import ExportRequest, ImportRequest
from workers.style.training_contract import TrainRequest

pytestmark = pytest.mark.usefixtures("data", "style")


@pytest.fixture
def run() -> CliRunner:
    return CliRunner()


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder of photographs, below the one where commands run."""
    monkeypatch.chdir(tmp_path)
    for name in ("waves.png", "all/a.jpg", "all/more/a.jpg", "all/notes.txt", "all/.c/b.jpg"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(name)
    return "all"


def call(run: CliRunner, *arguments: str) -> str:
    """What a command that has to succeed prints."""
    result = run.invoke(app, ["style", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def read_zip(style: FakeStyle) -> dict[str, str]:
    """What the one training learned from."""
    (request,) = style.requests("train")
    with zipfile.ZipFile(BytesIO(style.api.blobs[request["data"]])) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_the_pictures_of_a_folder_are_sent_and_what_was_learned_is_shown(
    run: CliRunner, style: FakeStyle, data: str
) -> None:
    arguments = ["style", "train", "waves.png", data, "--name", "waves", "--out", "out"]
    result = run.invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "model\twaves@1\n" in result.stdout
    assert "losses style\t0.25\n" in result.stdout
    assert {file.name: file.read_bytes() for file in Path("out").iterdir()} == {
        "waves@1-curve.png": CURVE,
        "waves@1-samples.jpg": SAMPLES,
    }
    assert "Drawn: out/waves@1-curve.png, out/waves@1-samples.jpg." in result.stderr
    assert "`atelier style apply PHOTO... --model waves@1` paints with it." in result.stderr
    assert list(read_zip(style)) == ["a.jpg", "more/a.jpg"]
    (request,) = style.requests("train")
    assert style.api.blobs[request["style"]] == b"waves.png"


def test_photos_are_packed_under_names_of_their_own(run: CliRunner, style: FakeStyle) -> None:
    call(run, "train", "waves.png", "all/a.jpg", "all/*/a.jpg", "waves.png")
    assert read_zip(style) == {
        "a.jpg": "all/a.jpg",
        "a-2.jpg": "all/more/a.jpg",
        "waves.png": "waves.png",
    }


def test_one_photo_is_packed_as_well(run: CliRunner, style: FakeStyle) -> None:
    call(run, "train", "waves.png", "all/a.jpg")
    assert read_zip(style) == {"a.jpg": "all/a.jpg"}


def test_a_zip_is_sent_as_it_is(run: CliRunner, style: FakeStyle) -> None:
    with zipfile.ZipFile("all.zip", "w") as archive:
        archive.writestr("x/y.webp", "a picture")
    call(run, "train", "waves.png", "all.zip", "--json")
    assert read_zip(style) == {"x/y.webp": "a picture"}


def test_what_the_commands_leave_open_is_what_the_contract_leaves_open(
    run: CliRunner, style: FakeStyle, data: str
) -> None:
    call(run, "train", "waves.png", data)
    call(run, "import", "waves.png")
    call(run, "export", "stained-glass")
    (train,), (bring,) = style.requests("train"), style.requests("import")
    files = {name: train[name] for name in ("style", "data")}
    assert TrainRequest.model_validate(train) == TrainRequest(**files)
    assert ImportRequest.model_validate(bring) == ImportRequest(file=bring["file"])
    (take,) = style.requests("export")
    assert ExportRequest.model_validate(take) == ExportRequest(model="stained-glass")


def test_every_option_of_the_contract_can_be_chosen(
    run: CliRunner, style: FakeStyle, data: str
) -> None:
    sizes = ["--name", "waves", "--window", "64", "--style-size", "128", "--steps", "9"]
    network = ["--batch-size", "3", "--width", "8", "--blocks", "1", "--seed", "4"]
    layers = ["--content-layer", "relu2_2", "--style-layer", "relu1_1", "--style-layer", "pool2"]
    weights = ["--content-weight", "2", "--style-weight", "3", "--tv-weight", "4"]
    rate = ["--learning-rate", "0.01"]
    call(run, "train", "waves.png", data, *sizes, *network, *layers, *weights, *rate)
    (train,) = style.requests("train")
    chosen = TrainRequest.model_validate(train).model_dump()
    files = {name: train[name] for name in ("style", "data")}
    default = TrainRequest(**files).model_dump()
    assert {name for name in chosen if chosen[name] == default[name]} == {"style", "data"}


@pytest.mark.parametrize(
    ("option", "value", "field"),
    [
        ("--name", "stained-glass", "name"),
        ("--learning-rate", "0", "learning_rate"),
        ("--content-layer", "fc6", "content_layer"),
    ],
)
def test_what_the_server_would_refuse_is_a_usage_error(
    run: CliRunner, api: FakeApi, data: str, option: str, value: str, field: str
) -> None:
    result = run.invoke(app, ["style", "train", "waves.png", data, option, value])
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith(f"{field}: ")
    assert not api.requests


@pytest.mark.parametrize(
    "arguments",
    [["waves.png"], ["none.png", "all"], ["waves.png", "none"], ["waves.png", "a*.jpg"]],
    ids=["no data", "no style", "no folder", "no photo"],
)
def test_what_is_not_there_is_a_usage_error(
    run: CliRunner, api: FakeApi, arguments: list[str]
) -> None:
    assert run.invoke(app, ["style", "train", *arguments]).exit_code == 2
    assert not api.blobs


def test_a_folder_without_pictures_is_a_usage_error(run: CliRunner, api: FakeApi) -> None:
    Path("empty").mkdir()
    result = run.invoke(app, ["style", "train", "waves.png", "empty"])
    assert (result.exit_code, api.jobs) == (2, {})
    assert result.stderr == "empty: no file.\n"


def test_models_are_listed_promoted_rolled_back_and_deleted(
    run: CliRunner, style: FakeStyle, data: str
) -> None:
    style.models[0] |= {"installed": False, "width": None, "blocks": None}
    call(run, "train", "waves.png", data, "--name", "waves")
    rows = [line.split("\t") for line in call(run, "promote", "waves@1").splitlines()]
    assert [[*row[:4], row[5]] for row in rows] == [
        ["stained-glass", "", "", "not there: install Atelier again", ""],
        ["waves@1", "32", "5", "", "yes"],
    ]
    call(run, "promote", "stained-glass")
    listed = [json.loads(line) for line in call(run, "models", "--json").splitlines()]
    assert [model["in_use"] for model in listed] == [True, False]
    assert "waves@1" not in call(run, "forget", "waves@1")


def test_only_a_version_can_be_deleted(run: CliRunner, api: FakeApi) -> None:
    result = run.invoke(app, ["style", "forget", "stained-glass"])
    assert result.exit_code == 2
    assert result.stderr.startswith("Only versions can be deleted, such as waves@2: ")
    assert not api.jobs


def test_a_network_is_written_into_a_file_and_brought_in(run: CliRunner, style: FakeStyle) -> None:
    told = call(run, "export", "stained-glass")
    assert "inputs pictures\tbatch, 3, height, width\n" in told
    assert "saved\tstained-glass.onnx\n" in told
    assert Path("stained-glass.onnx").read_bytes() == FILE
    call(run, "export", "stained-glass", "--format", "atelier", "-o", "s.st")
    told = call(run, "import", "s.st", "--name", "glass")
    assert "model\tglass@1\n" in told
    (request,) = style.requests("import")
    assert style.api.blobs[request["file"]] == FILE


def test_ctrl_c_stops_a_training_on_the_server(
    run: CliRunner, api: FakeApi, data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Watch, "follow", interrupt)
    assert run.invoke(app, ["style", "train", "waves.png", data]).exit_code == 130
    (job,) = api.jobs.values()
    assert job["state"] == "cancelled"
