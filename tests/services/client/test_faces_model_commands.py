"""`atelier faces train | models | promote` from the command line."""

import json
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.client.cli import app
from tests.services.client.fake_faces import ROC, FakeFaces


@pytest.fixture
def run() -> CliRunner:
    return CliRunner()


@pytest.fixture
def people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "people"
    for name in ("ann", "bob"):
        (folder / name).mkdir(parents=True)
        for number in range(2):
            (folder / name / f"{number}.jpg").write_text(f"{name} {number}")
        (folder / name / "notes.txt").write_text("no picture, which the server would refuse")
    return folder


def test_a_folder_is_sent_as_a_zip_and_the_curve_saved(
    run: CliRunner, faces: FakeFaces, people: Path, tmp_path: Path
) -> None:
    options = ["--name", "mine", "--steps", "50", "--mining", "semi-hard", "--seed", "7"]
    result = run.invoke(app, ["faces", "train", str(people), *options])
    assert result.exit_code == 0, result.output
    assert faces.trained_on == ["ann/0.jpg", "ann/1.jpg", "bob/0.jpg", "bob/1.jpg"]
    assert (tmp_path / "mine@1-roc.jpg").read_bytes() == ROC
    assert "metrics eer\t0.08\n" in result.stdout
    (asked,) = faces.requests("train")
    del asked["pictures"]
    assert asked == {
        "name": "mine", "steps": 50, "loss": "triplet", "mining": "semi-hard", "seed": 7,
    }  # fmt: skip


def test_a_zip_is_sent_as_it_is(
    run: CliRunner, faces: FakeFaces, people: Path, tmp_path: Path
) -> None:
    file = tmp_path / "people.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.write(people / "ann" / "0.jpg", "ann/0.jpg")
    options = ["--roc", str(tmp_path / "curve.jpg"), "--loss", "contrastive", "--json"]
    result = run.invoke(app, ["faces", "train", str(file), *options])
    assert result.exit_code == 0, result.output
    assert file.read_bytes() in faces.api.blobs.values()
    assert json.loads(result.stdout)["saved"] == str(tmp_path / "curve.jpg")


@pytest.mark.usefixtures("faces")
def test_training_on_nothing_is_a_usage_error(run: CliRunner, tmp_path: Path) -> None:
    assert run.invoke(app, ["faces", "train", str(tmp_path / "missing")]).exit_code == 2
    assert run.invoke(app, ["faces", "train", str(tmp_path)]).exit_code == 2


@pytest.mark.usefixtures("faces")
def test_models_are_listed_and_one_is_promoted(run: CliRunner) -> None:
    listed = run.invoke(app, ["faces", "models"])
    assert [line.split("\t") for line in listed.stdout.splitlines()] == [
        ["dlib-resnet@1", "128", "", "get this one"],
        ["siamese@1", "128", "8.0%", ""],
    ]
    promoted = run.invoke(app, ["faces", "promote", "siamese@1", "--json"])
    models = [json.loads(line) for line in promoted.stdout.splitlines()]
    assert [model["model"] for model in models if model["default"]] == ["siamese@1"]
