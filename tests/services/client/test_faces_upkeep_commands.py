"""`atelier faces calibrate | export | import | move | audit` from the command line."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.client.cli import app
from tests.services.client.fake_faces import CREATED, FakeFaces


@pytest.fixture
def run() -> CliRunner:
    return CliRunner()


@pytest.fixture
def staff(faces: FakeFaces) -> str:
    faces.create({**CREATED, "collection": "staff", "backend": "local"})
    return "staff"


def test_a_collection_is_calibrated(run: CliRunner, faces: FakeFaces, staff: str) -> None:
    result = run.invoke(app, ["faces", "calibrate", staff, "--fpir", "0.02", "--probes", "500"])
    assert result.exit_code == 0, result.output
    assert "threshold\t0.87\n" in result.stdout
    assert result.stderr == ""
    assert faces.requests("calibrate") == [
        {"collection": staff, "target_fpir": 0.02, "probes": 500}
    ]


def test_a_figure_that_rests_on_little_is_said(
    run: CliRunner, faces: FakeFaces, staff: str
) -> None:
    faces.enough = False
    result = run.invoke(app, ["faces", "calibrate", staff, "--json"])
    assert json.loads(result.stdout)["enough"] is False
    assert "Few false matches" in result.stderr


@pytest.mark.parametrize("plain", [False, True])
def test_an_exported_file_fills_a_new_collection(
    run: CliRunner, faces: FakeFaces, staff: str, tmp_path: Path, plain: bool
) -> None:
    file = tmp_path / "staff.faces"
    options = ["--plain"] if plain else []
    exported = run.invoke(app, ["faces", "export", staff, str(file), *options])
    assert exported.exit_code == 0, exported.output
    assert json.loads(file.read_bytes())["encrypted"] is not plain
    imported = run.invoke(app, ["faces", "import", "copy", str(file), "--backend", "milvus"])
    assert imported.exit_code == 0, imported.output
    assert faces.collections["copy"]["backend"] == "milvus"


def test_nothing_is_exported_into_a_folder_that_is_not_there(
    run: CliRunner, faces: FakeFaces, staff: str, tmp_path: Path
) -> None:
    result = run.invoke(app, ["faces", "export", staff, str(tmp_path / "new" / "file")])
    assert result.exit_code == 2
    assert not faces.requests("export")


def test_importing_nothing_is_a_usage_error(run: CliRunner, tmp_path: Path) -> None:
    assert run.invoke(app, ["faces", "import", "copy", str(tmp_path / "missing")]).exit_code == 2


def test_a_collection_moves_under_a_new_name_and_stays(
    run: CliRunner, faces: FakeFaces, staff: str
) -> None:
    result = run.invoke(app, ["faces", "move", staff, "--into", "staff-2", "--backend", "milvus"])
    assert result.exit_code == 0, result.output
    assert faces.collections["staff-2"]["backend"] == "milvus"
    assert staff in faces.collections
    assert f"atelier faces delete {staff} --all" in result.stderr
    assert not [path for method, path, _ in faces.api.requests if path.startswith("/v1/blobs")]


@pytest.mark.usefixtures("faces")
def test_the_log_is_shown_and_said_to_be_intact(run: CliRunner) -> None:
    result = run.invoke(app, ["faces", "audit", "--after", "1"])
    assert result.exit_code == 0
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert [row[0] for row in rows] == ["2", "3"]
    assert rows[0][2:] == ["1", "enroll", "staff", '{"faces": 1}']
    assert "intact" in result.stderr


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_changed_log_is_a_failure_that_nobody_overlooks(
    run: CliRunner, faces: FakeFaces, options: list[str]
) -> None:
    faces.broken_at = 2
    result = run.invoke(app, ["faces", "audit", *options])
    assert result.exit_code == 1
    assert "THE LOG WAS CHANGED" in result.stderr
    assert "line 2" in result.stderr
    assert len(result.stdout.splitlines()) == 3
