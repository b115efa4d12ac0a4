"""`atelier faces find | verify | identify` from the command line."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.client.cli import app
from tests.services.client.fake_api import DRAWN
from tests.services.client.fake_faces import CREATED, FakeFaces


@pytest.fixture
def run() -> CliRunner:
    return CliRunner()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, content in {"a": "ann", "ab": "ann bob", "n": "nobody"}.items():
        (folder / f"{name}.jpg").write_text(content)
    return folder


@pytest.fixture
def staff(faces: FakeFaces) -> str:
    """A collection that knows ann."""
    portrait = faces.api.add_blob(b"ann in her office")
    consent = {"purpose": "door", "text_sha256": "a" * 64, "expires_at": None}
    faces.create({**CREATED, "collection": "staff", "backend": "local"})
    faces.enroll(
        {"collection": "staff", "subjects": ["ann"], "pictures": [portrait], "consent": consent}
    )
    return "staff"


@pytest.mark.usefixtures("faces")
def test_found_faces_are_counted_and_rated(run: CliRunner, photos: Path) -> None:
    result = run.invoke(app, ["faces", "find", str(photos)])
    assert result.exit_code == 0, result.output
    rows = {
        Path(line.split("\t")[0]).name: line.split("\t")[1] for line in result.stdout.splitlines()
    }
    assert rows == {
        "a.jpg": "1 face, quality 0.90",
        "ab.jpg": "2 faces, quality 0.90 0.90",
        "n.jpg": "no face",
    }


@pytest.mark.usefixtures("faces")
def test_marked_photos_and_cut_out_faces_are_saved(
    run: CliRunner, photos: Path, tmp_path: Path
) -> None:
    saved = tmp_path / "saved"
    result = run.invoke(app, ["faces", "find", str(photos), "--save", str(saved), "--crops"])
    assert result.exit_code == 0, result.output
    pictures = {file.name: file.read_bytes() for file in saved.iterdir()}
    assert {name for name, content in pictures.items() if content == DRAWN} == {
        "a.jpg",
        "ab.jpg",
        "n.jpg",
    }
    alone = {name for name, content in pictures.items() if content == b"a face alone"}
    assert alone == {"a-face-1.jpg", "ab-face-1.jpg", "ab-face-2.jpg"}


def test_cutting_out_without_a_folder_is_a_usage_error(run: CliRunner, photos: Path) -> None:
    assert run.invoke(app, ["faces", "find", str(photos), "--crops"]).exit_code == 2


@pytest.mark.usefixtures("faces")
def test_two_photos_are_compared(run: CliRunner, photos: Path) -> None:
    same = run.invoke(app, ["faces", "verify", str(photos / "a.jpg"), str(photos / "ab.jpg")])
    assert same.stdout == "same person\tvery likely\n"
    (photos / "b.jpg").write_text("bob")
    pair = [str(photos / "a.jpg"), str(photos / "b.jpg")]
    other = run.invoke(app, ["faces", "verify", *pair, "--scores", "--fmr", "0.01"])
    assert other.stdout == "different people\tunlikely\t0.4000\t0.8000\n"
    assert other.exit_code == 0


def test_options_of_a_comparison_reach_the_server(
    run: CliRunner, faces: FakeFaces, photos: Path
) -> None:
    pair = [str(photos / "a.jpg"), str(photos / "ab.jpg")]
    result = run.invoke(app, ["faces", "verify", *pair, "--method", "chi2", "--fmr", "0.01"])
    assert result.exit_code == 0, result.output
    (asked,) = faces.requests("verify")
    assert (asked["method"], asked["target_fmr"], asked["scores"]) == ("chi2", 0.01, False)


@pytest.mark.usefixtures("faces")
def test_a_comparison_without_a_face_says_why(run: CliRunner, photos: Path) -> None:
    result = run.invoke(app, ["faces", "verify", str(photos / "a.jpg"), str(photos / "n.jpg")])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "no_face: No face was found." in result.stderr


def test_a_folder_of_several_photos_is_not_one_of_two(run: CliRunner, photos: Path) -> None:
    result = run.invoke(app, ["faces", "verify", str(photos), str(photos / "a.jpg")])
    assert result.exit_code == 2


def test_known_faces_are_named_and_others_are_unknown(
    run: CliRunner, staff: str, photos: Path
) -> None:
    (photos / "b.jpg").write_text("bob")
    result = run.invoke(app, ["faces", "identify", staff, str(photos)])
    assert result.exit_code == 1  # nobody is in n.jpg
    rows = {
        Path(line.split("\t")[0]).name: line.split("\t")[1] for line in result.stdout.splitlines()
    }
    assert rows == {"a.jpg": "ann (very likely)", "ab.jpg": "ann (very likely)", "b.jpg": "unknown"}
    assert "n.jpg: no_face: No face was found." in result.stderr


def test_every_face_of_a_photo_has_a_row(run: CliRunner, staff: str, photos: Path) -> None:
    photo = str(photos / "ab.jpg")
    result = run.invoke(app, ["faces", "identify", staff, photo, "--all-faces", "--scores"])
    assert [line.split("\t")[1] for line in result.stdout.splitlines()] == [
        "ann (very likely 0.9300), at 10,20 100x120",
        "unknown, at 10,20 100x120",
    ]


def test_options_of_a_search_reach_the_server(
    run: CliRunner, faces: FakeFaces, staff: str, photos: Path
) -> None:
    photo = str(photos / "a.jpg")
    result = run.invoke(
        app, ["faces", "identify", staff, photo, "--fpir", "0.05", "--top", "3", "--json"]
    )
    assert json.loads(result.stdout)["result"]["probes"][0]["subject"] == "ann"
    (asked,) = faces.requests("identify")
    assert asked["target_fpir"] == 0.05
    assert asked["max_candidates"] == 3


@pytest.mark.usefixtures("faces")
def test_an_unknown_collection_is_a_failure(run: CliRunner, photos: Path) -> None:
    result = run.invoke(app, ["faces", "identify", "nowhere", str(photos / "a.jpg")])
    assert result.exit_code == 1
    assert "unknown_collection: There is no collection 'nowhere'." in result.stderr
