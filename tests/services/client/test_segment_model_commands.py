"""`atelier segment train | evaluate | models | promote | forget | export | import`."""

import json
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.client.cli import app
from services.client.watch import Watch
from tests.services.client.fake_api import FakeApi
from tests.services.client.fake_segment import CONFUSION, CURVE, FILE, SAMPLES, FakeSegment
from workers.segment.model_contract import ExportRequest, ImportRequest
from workers.segment.training_contract import EvaluateRequest, TrainRequest

pytestmark = pytest.mark.usefixtures("data", "segment")


@pytest.fixture
def run() -> CliRunner:
    return CliRunner()


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder of pictures and masks, below the one where commands run."""
    monkeypatch.chdir(tmp_path)
    for name in ("images/a.jpg", "masks/a.png", "classes.json", ".cache/b.jpg", "images/.c.jpg"):
        (tmp_path / "streets" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "streets" / name).write_text(name)
    return "streets"


def call(run: CliRunner, *arguments: str) -> str:
    """What a command that has to succeed prints."""
    result = run.invoke(app, ["segment", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_folder_is_sent_without_hidden_files_and_what_was_learned_is_shown(
    run: CliRunner, segment: FakeSegment, data: str
) -> None:
    result = run.invoke(app, ["segment", "train", data, "--name", "town", "--out", "out"])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("Road\t75.0%\t\t\nSky\t25.0%\t0.500\t0.750\n")
    assert "model\ttown@1\n" in result.stdout
    assert "measures mean iou\t0.75\n" in result.stdout
    assert "pictures held out\t2\n" in result.stdout
    assert {file.name: file.read_bytes() for file in Path("out").iterdir()} == {
        "town@1-curve.jpg": CURVE,
        "town@1-samples.jpg": SAMPLES,
    }
    assert "Drawn: out/town@1-curve.jpg, out/town@1-samples.jpg." in result.stderr
    (request,) = segment.requests("train")
    with zipfile.ZipFile(BytesIO(segment.api.blobs[request["data"]])) as archive:
        assert sorted(archive.namelist()) == ["classes.json", "images/a.jpg", "masks/a.png"]


def test_what_the_commands_leave_open_is_what_the_contract_leaves_open(
    run: CliRunner, segment: FakeSegment, data: str
) -> None:
    call(run, "train", data)
    call(run, "evaluate", data)
    call(run, "import", "streets/classes.json")
    call(run, "export", "selfie")
    (train,), (measure,) = segment.requests("train"), segment.requests("evaluate")
    assert TrainRequest.model_validate(train) == TrainRequest(data=train["data"])
    assert EvaluateRequest.model_validate(measure) == EvaluateRequest(data=measure["data"])
    (bring,), (take,) = segment.requests("import"), segment.requests("export")
    assert ImportRequest.model_validate(bring) == ImportRequest(file=bring["file"])
    assert ExportRequest.model_validate(take) == ExportRequest(model="selfie")


def test_every_option_of_the_contract_can_be_chosen(
    run: CliRunner, segment: FakeSegment, data: str
) -> None:
    network = ["--encoder", "vgg16", "--stride", "16", "--staged", "--fc6-padding", "100"]
    start = ["--no-pretrained", "--frozen", "2", "--name", "town", "--format", "voc"]
    sizes = ["--height", "64", "--width", "96", "--batch-size", "4", "--parts", "2"]
    rates = ["--learning-rate", "0.1", "--weight-decay", "0.1", "--averaging", "0.5"]
    ends = ["--epochs", "3", "--held-out", "0.3", "--resolution", "120", "--seed", "4"]
    flags = ["--no-augment", "--no-flip", "--optimiser", "sgd", "--balanced"]
    call(run, "train", data, *network, *start, *sizes, *rates, *ends, *flags)
    (train,) = segment.requests("train")
    chosen = TrainRequest.model_validate(train).model_dump()
    default = TrainRequest(data=train["data"]).model_dump()
    assert {name for name in chosen if chosen[name] == default[name]} == {"data"}
    looks = ["--model", "selfie", "--part", "val", "--resolution", "256", "--format", "coco"]
    call(run, "evaluate", data, *looks)
    (measure,) = segment.requests("evaluate")
    wanted = EvaluateRequest.model_validate(measure).model_dump()
    plain = EvaluateRequest(data=measure["data"]).model_dump()
    assert {name for name in wanted if wanted[name] == plain[name]} == {"data"}


@pytest.mark.parametrize(
    ("option", "value", "field"),
    [
        ("--name", "selfie", "name"),
        ("--averaging", "1", "averaging"),
        ("--fc6-padding", "2", "fc6_padding"),
        ("--learning-rate", "0", "learning_rate"),
    ],
)
def test_what_the_server_would_refuse_is_a_usage_error(
    run: CliRunner, api: FakeApi, data: str, option: str, value: str, field: str
) -> None:
    result = run.invoke(app, ["segment", "train", data, option, value])
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith(f"{field}: ")
    assert not api.requests


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_data_that_is_not_there_is_a_usage_error(
    run: CliRunner, api: FakeApi, command: str
) -> None:
    assert run.invoke(app, ["segment", command, "missing"]).exit_code == 2
    assert not api.jobs


def test_a_measure_has_a_row_for_each_class_and_the_four_figures(run: CliRunner, data: str) -> None:
    told = call(run, "evaluate", data, "--out", "out")
    assert told.startswith("Road\t75.0%\t\t\nSky\t25.0%\t0.500\t0.750\n")
    for figure in ("mean iou\t0.5", "pixel accuracy\t0.75", "frequency weighted iou\t0.625"):
        assert f"measures {figure}\n" in told
    assert {file.name: file.read_bytes() for file in Path("out").iterdir()} == {
        "fcn-8s-camvid-confusion.png": CONFUSION,
        "fcn-8s-camvid-evaluated.jpg": SAMPLES,
    }
    as_json = json.loads(call(run, "evaluate", data, "--json"))
    assert as_json["per_class"]["Road"]["iou"] is None
    assert as_json["saved"] == []


def test_models_are_listed_promoted_rolled_back_and_deleted(run: CliRunner, data: str) -> None:
    call(run, "train", data)
    rows = [line.split("\t") for line in call(run, "promote", "segmenter@1").splitlines()]
    assert [[*row[:5], row[6]] for row in rows] == [
        ["fcn-8s-camvid", "Sky, Road", "thin, stride 8", "360", "0.625", ""],
        ["selfie", "Sky, Road", "thin", "360", "not pulled yet", ""],
        ["segmenter@1", "Sky, Road", "thin, stride 8", "360", "0.750", "yes"],
    ]
    call(run, "promote", "fcn-8s-camvid")
    listed = [json.loads(line) for line in call(run, "models", "--json").splitlines()]
    assert [model["in_use"] for model in listed] == [True, False, False]
    assert "segmenter@1" not in call(run, "forget", "segmenter@1")


def test_only_a_version_can_be_deleted(run: CliRunner, api: FakeApi) -> None:
    result = run.invoke(app, ["segment", "forget", "fcn-8s-camvid"])
    assert result.exit_code == 2
    assert result.stderr.startswith("Only versions can be deleted, such as streets@2: ")
    assert not api.jobs


def test_a_network_is_written_into_a_file(run: CliRunner, segment: FakeSegment) -> None:
    told = call(run, "export", "selfie", "--height", "128", "--width", "160")
    assert "inputs pixels\tbatch, 3, 128, 480\n" in told
    assert "saved\tselfie.onnx\n" in told
    assert Path("selfie.onnx").read_bytes() == FILE
    (request,) = segment.requests("export")
    assert (request["height"], request["width"]) == (128, 160)
    call(run, "export", "selfie", "--format", "atelier", "-o", "s.st")
    assert Path("s.st").read_bytes() == FILE


def test_a_network_is_put_into_a_folder_under_its_name(run: CliRunner, data: str) -> None:
    call(run, "train", data, "--name", "town")
    assert "saved\tstreets/town@1.onnx\n" in call(run, "export", "town", "-o", "streets/")
    assert Path("streets/town@1.onnx").read_bytes() == FILE


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("no/s.onnx", "There is no folder "),
        ("x" * 300, f"{'x' * 300} cannot be written: File name too long."),
        ("/proc/s.onnx", "/proc/s.onnx cannot be written: "),  # nobody may, not even root
    ],
    ids=["no folder", "name", "not allowed"],
)
def test_a_file_that_cannot_be_written_is_a_usage_error_before_the_work(
    run: CliRunner, api: FakeApi, file: str, reason: str
) -> None:
    result = run.invoke(app, ["segment", "export", "selfie", "-o", file])
    assert result.exit_code == 2
    assert result.stderr.startswith(reason)
    assert not api.jobs


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_a_folder_that_takes_no_file_is_a_usage_error_before_the_work(
    run: CliRunner, api: FakeApi, data: str, command: str
) -> None:
    result = run.invoke(app, ["segment", command, data, "--out", "/proc"])
    assert result.exit_code == 2
    assert result.stderr.startswith("/proc")
    assert not api.jobs


def test_a_picture_that_cannot_be_written_after_all_is_told(run: CliRunner, data: str) -> None:
    Path("out/segmenter@1-curve.jpg").mkdir(parents=True)
    result = run.invoke(app, ["segment", "train", data, "--out", "out"])
    assert result.exit_code == 1
    assert "out/segmenter@1-curve.jpg cannot be written: Is a directory.\n" in result.stderr


def test_a_network_is_brought_in(run: CliRunner, segment: FakeSegment) -> None:
    Path("s.safetensors").write_bytes(FILE)
    told = call(run, "import", "s.safetensors", "--name", "town")
    assert "model\ttown@1\n" in told
    assert "classes\tSky, Road\n" in told
    (request,) = segment.requests("import")
    assert segment.api.blobs[request["file"]] == FILE


@pytest.mark.parametrize("options", [["missing"], ["streets/classes.json", "--name", "selfie"]])
def test_what_cannot_be_imported_is_a_usage_error(
    run: CliRunner, api: FakeApi, options: list[str]
) -> None:
    assert run.invoke(app, ["segment", "import", *options]).exit_code == 2
    assert not api.blobs


def test_ctrl_c_stops_a_training_on_the_server(
    run: CliRunner, api: FakeApi, data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Watch, "follow", interrupt)
    assert run.invoke(app, ["segment", "train", data]).exit_code == 130
    (job,) = api.jobs.values()
    assert job["state"] == "cancelled"
