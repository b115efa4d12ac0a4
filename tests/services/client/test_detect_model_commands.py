"""`atelier detect train | evaluate | models | promote | forget | export | import`."""

import json
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.client.cli import app
from services.client.watch import Watch
from tests.services.client.fake_api import FakeApi
from tests.services.client.fake_detect import CURVE, FILE, SAMPLES, FakeDetect
from workers.detect.model_contract import ImportRequest
from workers.detect.training_contract import EvaluateRequest, TrainRequest

pytestmark = pytest.mark.usefixtures("data", "detect")

ANCHORS = "10,14, 23,27, 37,58, 81,82, 135,169, 344,319"


@pytest.fixture
def run() -> CliRunner:
    return CliRunner()


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder of labelled pictures, below the one where commands run."""
    monkeypatch.chdir(tmp_path)
    for name in ("images/a.jpg", "labels/a.txt", "classes.txt", ".cache/b.jpg", "c.png"):
        (tmp_path / "bears" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "bears" / name).write_text(name)
    return "bears"


def call(run: CliRunner, *arguments: str) -> str:
    """What a command that has to succeed prints."""
    result = run.invoke(app, ["detect", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_folder_is_sent_as_a_zip_and_what_was_learned_is_shown(
    run: CliRunner, detect: FakeDetect, data: str
) -> None:
    result = run.invoke(app, ["detect", "train", data, "--name", "bears", "--save", "out"])
    assert result.exit_code == 0, result.output
    assert "model\tbears@1\n" in result.stdout
    assert "metrics map50\t0.9\n" in result.stdout
    assert "score threshold\t0.35\n" in result.stdout
    assert "objects bear\t5\n" in result.stdout
    assert {file.name: file.read_bytes() for file in Path("out").iterdir()} == {
        "bears@1-curve.jpg": CURVE,
        "bears@1-precision-recall.png": CURVE,
        "bears@1-samples.jpg": SAMPLES,
    }
    assert "Sending 4 files." in result.stderr
    (request,) = detect.requests("train")
    with zipfile.ZipFile(BytesIO(detect.api.blobs[request["data"]])) as archive:
        packed = {info.filename: info.compress_type for info in archive.infolist()}
    assert packed == {
        "c.png": zipfile.ZIP_STORED,
        "classes.txt": zipfile.ZIP_DEFLATED,
        "images/a.jpg": zipfile.ZIP_STORED,
        "labels/a.txt": zipfile.ZIP_DEFLATED,
    }


def test_a_zip_is_sent_as_it_is(run: CliRunner, detect: FakeDetect) -> None:
    Path("bears.zip").write_bytes(b"a zip")
    call(run, "train", "bears.zip")
    (request,) = detect.requests("train")
    assert detect.api.blobs[request["data"]] == b"a zip"
    assert Path("detector@1-curve.jpg").read_bytes() == CURVE


@pytest.mark.parametrize("given", ["missing", "empty"])
def test_data_that_is_not_there_is_a_usage_error(
    run: CliRunner, api: FakeApi, tmp_path: Path, given: str
) -> None:
    (tmp_path / "empty").mkdir()
    result = run.invoke(
        app, ["detect", "train", str(tmp_path / given), "--save", str(tmp_path / "out")]
    )
    assert result.exit_code == 2
    assert not api.jobs


def test_what_the_commands_leave_open_is_what_the_contract_leaves_open(
    run: CliRunner, detect: FakeDetect, data: str
) -> None:
    call(run, "train", data)
    call(run, "evaluate", data)
    call(run, "import", "bears/c.png")
    (train,), (measure,) = detect.requests("train"), detect.requests("evaluate")
    assert TrainRequest.model_validate(train) == TrainRequest(data=train["data"])
    assert EvaluateRequest.model_validate(measure) == EvaluateRequest(data=measure["data"])
    (bring,) = detect.requests("import")
    assert ImportRequest.model_validate(bring) == ImportRequest(file=bring["file"])


def test_every_option_of_the_contract_can_be_chosen(
    run: CliRunner, detect: FakeDetect, data: str
) -> None:
    sizes = ["--side", "64", "--grid", "4", "--boxes", "3", "--batch-size", "8", "--parts", "2"]
    choices = ["--preset", "yolo-v1", "--confidence", "one", "--optimiser", "sgd", "--bordered"]
    rates = ["--learning-rate", "0.1", "--weight-decay", "0.1", "--held-out", "0.3", "--seed", "4"]
    ends = ["--epochs", "3", "--patience", "2", "--score", "0.5", "--name", "b", "--format", "voc"]
    flags = ["--no-pretrained", "--no-augment", "--no-flip"]
    call(run, "train", data, *sizes, *choices, *rates, *ends, *flags)
    (train,) = detect.requests("train")
    chosen = TrainRequest.model_validate(train).model_dump()
    default = TrainRequest(data=train["data"]).model_dump()
    assert {name for name in chosen if chosen[name] == default[name]} == {"data"}
    looks = ["--score", "0.1", "--iou", "0.5", "--max", "5", "--model", "nanodet-g"]
    measures = ["--overlap", "0.7", "--interpolation", "11-point", "--inclusive", "--part", "val"]
    call(run, "evaluate", data, *looks, *measures, "--format", "yolo")
    (measure,) = detect.requests("evaluate")
    wanted = EvaluateRequest.model_validate(measure).model_dump()
    plain = EvaluateRequest(data=measure["data"]).model_dump()
    assert {name for name in wanted if wanted[name] == plain[name]} == {"data"}


def test_a_measure_has_a_row_for_each_class_and_the_figures_of_coco(
    run: CliRunner, data: str
) -> None:
    told = call(run, "evaluate", data, "--save", "out")
    assert told.startswith("bear\t0.750\t5\t0.600\t0.500\nraccoon\t0.000\t6\t0.000\t\n")
    assert "mean average precision\t0.375\n" in told
    assert "coco at 50\t0.375\n" in told
    assert "coco small" not in told  # there is none
    assert Path("out/nanodet-g-precision-recall.png").read_bytes() == CURVE
    as_json = json.loads(call(run, "evaluate", data, "--json"))
    assert as_json["classes"]["raccoon"]["precision"] is None
    assert as_json["saved"] == []


def test_models_are_listed_promoted_rolled_back_and_deleted(run: CliRunner, data: str) -> None:
    call(run, "train", data)
    rows = [line.split("\t") for line in call(run, "promote", "detector@1").splitlines()]
    assert [(row[0], row[3], row[5]) for row in rows] == [
        ("nanodet-g", "", ""),
        ("detector@1", "0.900", "yes"),
    ]
    assert rows[0][1:3] == ["bear, raccoon", "64"]
    call(run, "promote", "nanodet-g")
    listed = [json.loads(line) for line in call(run, "models", "--json").splitlines()]
    assert [model["in_use"] for model in listed] == [True, False]
    assert call(run, "forget", "detector@1").startswith("nanodet-g\t")


def test_a_detector_is_written_into_a_file(run: CliRunner) -> None:
    told = call(run, "export", "nanodet-g")
    assert "inputs pixels\tbatch, 3, 64, 64\n" in told
    assert "saved\tnanodet-g.onnx\n" in told
    assert Path("nanodet-g.onnx").read_bytes() == FILE
    as_json = json.loads(
        call(run, "export", "nanodet-g", "--format", "atelier", "-o", "d.st", "--json")
    )
    assert (as_json["saved"], as_json["format"]) == ("d.st", "atelier")
    assert Path("d.st").read_bytes() == FILE


def test_a_file_that_cannot_be_written_is_a_usage_error_before_the_work(
    run: CliRunner, api: FakeApi
) -> None:
    assert run.invoke(app, ["detect", "export", "nanodet-g", "-o", "no/d.onnx"]).exit_code == 2
    assert not api.jobs


def test_weights_of_darknet_are_brought_in_with_their_classes_and_anchors(
    run: CliRunner, detect: FakeDetect
) -> None:
    Path("d.weights").write_bytes(b"weights")
    Path("d.names").write_text("bear\nraccoon\n\n")
    names = ["--kind", "darknet", "--classes", "d.names", "--name", "tiny", "--score", "0.3"]
    assert "model\ttiny@1\n" in call(run, "import", "d.weights", *names, "--anchors", ANCHORS)
    (request,) = detect.requests("import")
    assert detect.api.blobs[request["file"]] == b"weights"
    assert request["classes"] == ["bear", "raccoon"]
    assert request["anchors"][::5] == [[10, 14], [344, 319]]
    assert (request["kind"], request["score_threshold"]) == ("darknet", 0.3)


def test_a_cfg_is_sent_beside_the_weights(run: CliRunner, detect: FakeDetect) -> None:
    for name in ("d.weights", "d.cfg"):
        Path(name).write_text(name)
    call(run, "import", "d.weights", "--kind", "darknet", "--cfg", "d.cfg", "--stretched")
    (request,) = detect.requests("import")
    assert detect.api.blobs[request["cfg"]] == b"d.cfg"
    assert (request["bordered"], "anchors" in request) == (False, False)


@pytest.mark.parametrize(
    "options",
    [
        ["--anchors", "10,14, 23"],
        ["--cfg", "missing.cfg"],
        ["--anchors", "a,b"],
        ["--classes", "missing.names"],
        ["--kind", "pickle"],
    ],
    ids=["few", "cfg", "letters", "names", "kind"],
)
def test_what_cannot_be_read_is_a_usage_error(
    run: CliRunner, api: FakeApi, options: list[str]
) -> None:
    result = run.invoke(app, ["detect", "import", "bears/c.png", *options])
    assert result.exit_code == 2
    assert not api.blobs


def test_an_unknown_model_is_said(run: CliRunner) -> None:
    result = run.invoke(app, ["detect", "promote", "bears@9"])
    assert result.exit_code == 1
    assert result.stderr == "unknown_model: There is no model 'bears@9'.\n"


def test_ctrl_c_stops_a_training_on_the_server(
    run: CliRunner, api: FakeApi, data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Watch, "follow", interrupt)
    assert run.invoke(app, ["detect", "train", data]).exit_code == 130
    (job,) = api.jobs.values()
    assert job["state"] == "cancelled"
