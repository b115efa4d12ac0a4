"""`atelier faces enroll` from the command line."""

import hashlib
import json
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from services.client.cli import app
from services.client.faces_enroll_command import list_portraits
from tests.services.client.fake_api import refuse
from tests.services.client.fake_faces import CREATED, FakeFaces

CONSENT = ["--purpose", "door access", "--consent-sha256", "a" * 64]


@pytest.fixture
def run() -> CliRunner:
    return CliRunner()


@pytest.fixture
def staff(faces: FakeFaces) -> str:
    faces.create({**CREATED, "collection": "staff", "backend": "local"})
    return "staff"


@pytest.fixture
def people(tmp_path: Path) -> Path:
    folder = tmp_path / "people"
    for name in ("ann", "bob"):
        (folder / name).mkdir(parents=True)
        for number in range(3):
            (folder / name / f"{number}.jpg").write_text(f"{name} {number}")
    return folder


def test_the_folder_of_a_photo_names_its_person(
    run: CliRunner, faces: FakeFaces, staff: str, people: Path
) -> None:
    (people / ".git").mkdir()
    result = run.invoke(app, ["faces", "enroll", staff, str(people), *CONSENT])
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert result.stderr == "staff: stored 6 faces of 2 people, refused 0.\n"
    for face in faces.faces[staff]:
        assert faces.person(face["blob"]) == face["subject"]


def test_photos_of_one_person_need_no_folder(
    run: CliRunner, faces: FakeFaces, staff: str, people: Path
) -> None:
    photos = [str(people / "ann"), str(people / "bob" / "0.jpg"), "--subject", "Ann B."]
    result = run.invoke(app, ["faces", "enroll", staff, *photos, *CONSENT])
    assert result.exit_code == 0, result.output
    assert [face["subject"] for face in faces.faces[staff]] == ["Ann B."] * 4


@pytest.mark.parametrize(
    "consent",
    [
        [],
        CONSENT[:2],
        CONSENT[2:],
        [*CONSENT, "--consent-text", __file__],
        ["--purpose", "x", "--consent-text", "missing"],
    ],
)
def test_without_consent_nothing_is_sent(
    run: CliRunner, faces: FakeFaces, staff: str, people: Path, consent: list[str]
) -> None:
    result = run.invoke(app, ["faces", "enroll", staff, str(people), *consent])
    assert result.exit_code == 2
    assert "only of people who agreed" in result.stderr or "cannot be read" in result.stderr
    assert not faces.api.requests


def test_the_digest_of_the_text_is_sent_and_not_the_text(
    run: CliRunner, faces: FakeFaces, staff: str, people: Path, tmp_path: Path
) -> None:
    text = tmp_path / "consent.txt"
    text.write_bytes(b"I agree to my face opening the door.")
    consent = ["--purpose", "door", "--consent-text", str(text), "--expires", "2031-05-06"]
    result = run.invoke(app, ["faces", "enroll", staff, str(people), *consent])
    assert result.exit_code == 0, result.output
    (asked,) = faces.requests("enroll")
    assert asked["consent"] == {
        "purpose": "door",
        "text_sha256": hashlib.sha256(text.read_bytes()).hexdigest(),
        "expires_at": datetime(2031, 5, 6).astimezone().timestamp(),
    }
    assert text.read_bytes() not in faces.api.blobs.values()


def test_refused_photos_are_listed_with_their_reasons(
    run: CliRunner, faces: FakeFaces, staff: str, people: Path
) -> None:
    (people / "ann" / "1.jpg").write_text("nobody")
    (people / "bob" / "2.jpg").write_text("text and no picture")
    faces.api.fail_next("POST", "/v1/blobs", refuse(413))
    result = run.invoke(app, ["faces", "enroll", staff, str(people), *CONSENT])
    assert result.exit_code == 1
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert {tuple(row) for row in rows} == {
        (str(people / "ann" / "0.jpg"), "ann", "busy: Come back later."),
        (str(people / "ann" / "1.jpg"), "ann", "No face was found."),
        (str(people / "bob" / "2.jpg"), "bob", "It is not a JPEG, PNG or WEBP."),
    }
    assert "stored 3 faces of 2 people, refused 3." in result.stderr


def test_json_tells_of_every_photo(run: CliRunner, staff: str, people: Path) -> None:
    for photo in (people / "ann").iterdir():
        photo.write_text("nobody")
    result = run.invoke(
        app, ["faces", "enroll", staff, str(people), *CONSENT, "--json", "--batch", "3"]
    )
    assert result.exit_code == 1
    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert [item["photo"] for item in told] == [str(p) for p in sorted(people.rglob("*.jpg"))]
    assert [item["face_id"] for item in told] == [None, None, None, 1, 2, 3]
    assert [bool(item["reason"]) for item in told] == [True] * 3 + [False] * 3


def test_many_photos_go_in_jobs_of_a_batch_and_a_few_at_once(
    run: CliRunner, faces: FakeFaces, staff: str, tmp_path: Path
) -> None:
    for number in range(50):
        (tmp_path / f"{number:02}.jpg").write_text(f"ann {number}")
    photos = [str(tmp_path), "--subject", "ann", "--batch", "4"]
    result = run.invoke(app, ["faces", "enroll", staff, *photos, *CONSENT])
    assert result.exit_code == 0, result.output
    sizes = [len(request["pictures"]) for request in faces.requests("enroll")]
    assert sorted(sizes, reverse=True) == [4] * 12 + [2]
    assert 1 < faces.api.most_open <= 3
    assert len(faces.faces[staff]) == 50


def test_a_collection_that_is_not_there_ends_it_at_the_first_job(
    run: CliRunner, faces: FakeFaces, people: Path
) -> None:
    result = run.invoke(app, ["faces", "enroll", "nowhere", str(people), *CONSENT, "--batch", "1"])
    assert result.exit_code == 1
    assert "unknown_collection" in result.stderr
    assert len(faces.requests("enroll")) < 6


@pytest.mark.parametrize("arguments", [["."], ["a.jpg"], ["missing"]])
def test_a_folder_without_people_is_a_usage_error(
    run: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jpg").write_text("ann")
    result = run.invoke(app, ["faces", "enroll", "staff", *arguments, *CONSENT])
    assert result.exit_code == 2
    assert "--subject" in result.stderr


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 5), min_size=1))
def test_every_photo_is_one_persons(
    tmp_path_factory: pytest.TempPathFactory, counts: dict[str, int]
) -> None:
    folder = tmp_path_factory.mktemp("people")
    for name, count in counts.items():
        (folder / name).mkdir()
        for number in range(count):
            (folder / name / f"{number}.png").touch()
    portraits = list_portraits([str(folder)], None)
    assert len({portrait.photo for portrait in portraits}) == sum(counts.values())
    assert all(portrait.photo.parent.name == portrait.subject for portrait in portraits)
