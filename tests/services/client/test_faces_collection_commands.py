"""`atelier faces create | collections | stats | list | delete | receipt` from the command line."""

import json

import pytest
from typer.testing import CliRunner

from services.client.cli import app
from tests.services.client.fake_faces import CREATED, RECEIPT, FakeFaces


@pytest.fixture
def run() -> CliRunner:
    return CliRunner()


@pytest.fixture
def staff(faces: FakeFaces) -> str:
    """A collection of three faces of ann and two of bob."""
    faces.create({**CREATED, "collection": "staff", "backend": "local"})
    names = ["ann"] * 3 + ["bob"] * 2
    consent = {"purpose": "door", "text_sha256": "a" * 64, "expires_at": None}
    blobs = [faces.api.add_blob(name.encode()) for name in names]
    faces.enroll({"collection": "staff", "subjects": names, "pictures": blobs, "consent": consent})
    return "staff"


def test_a_collection_is_made_as_asked(run: CliRunner, faces: FakeFaces) -> None:
    options = ["--fpir", "0.02", "--retention", "30", "--model", "siamese@2"]
    more = ["--backend", "milvus", "--description", "the door"]
    result = run.invoke(app, ["faces", "create", "staff", *options, *more])
    assert result.exit_code == 0, result.output
    assert "retention\t30 days\n" in result.stdout
    assert faces.requests("create") == [
        {
            "collection": "staff",
            "description": "the door",
            "model": "siamese@2",
            "backend": "milvus",
            "retention": 30 * 86_400.0,
            "target_fpir": 0.02,
        }
    ]


def test_what_is_not_said_is_left_to_the_server(run: CliRunner, faces: FakeFaces) -> None:
    assert run.invoke(app, ["faces", "create", "staff"]).exit_code == 0
    assert set(faces.requests("create")[0]) == {"collection", "description", "backend"}


def test_a_collection_is_changed_as_asked(run: CliRunner, faces: FakeFaces, staff: str) -> None:
    result = run.invoke(app, ["faces", "update", staff, "--retention", "7", "--fpir", "0.05"])
    assert result.exit_code == 0, result.output
    assert "retention\t7 days\n" in result.stdout
    assert faces.requests("update") == [
        {"collection": staff, "retention": 7 * 86_400.0, "target_fpir": 0.05}
    ]


def test_a_name_that_is_taken_is_said(run: CliRunner, staff: str) -> None:
    result = run.invoke(app, ["faces", "create", staff])
    assert result.exit_code == 1
    assert result.stderr == "collection_exists: There is one already.\n"


def test_collections_are_listed(run: CliRunner, staff: str) -> None:
    result = run.invoke(app, ["faces", "collections"])
    row = result.stdout.rstrip("\n").split("\t")
    assert row[:6] == [staff, "2", "5", "dlib-resnet@1", "local", "0.8500 estimated"]
    as_json = run.invoke(app, ["faces", "collections", "--json"])
    assert [json.loads(line)["collection"] for line in as_json.stdout.splitlines()] == [staff]


def test_a_collection_and_its_index_are_shown(run: CliRunner, staff: str) -> None:
    result = run.invoke(app, ["faces", "stats", staff])
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert rows[0] == ["collection", staff]
    assert ["faces", "5"] in rows
    assert ["index kind", "flat"] in rows


def test_faces_are_listed_page_by_page(
    run: CliRunner, faces: FakeFaces, staff: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.client.faces_collection_commands.PAGE", 2)
    result = run.invoke(app, ["faces", "list", staff])
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert [(row[0], row[1]) for row in rows] == [
        ("1", "ann"), ("2", "ann"), ("3", "ann"), ("4", "bob"), ("5", "bob"),
    ]  # fmt: skip
    assert len(faces.requests("list")) == 3
    assert result.stderr == ""


def test_a_list_that_was_cut_says_so(run: CliRunner, staff: str) -> None:
    result = run.invoke(app, ["faces", "list", staff, "--subject", "ann", "--limit", "2", "--json"])
    assert [json.loads(line)["face_id"] for line in result.stdout.splitlines()] == [1, 2]
    assert "There are more" in result.stderr


def test_a_person_is_deleted_and_the_receipt_printed(
    run: CliRunner, faces: FakeFaces, staff: str
) -> None:
    result = run.invoke(app, ["faces", "delete", staff, "--subject", "ann"])
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{RECEIPT}\n"
    assert "Faces deleted: 3." in result.stderr
    assert {face["subject"] for face in faces.faces[staff]} == {"bob"}


def test_single_faces_are_deleted(run: CliRunner, faces: FakeFaces, staff: str) -> None:
    ids = ["--face-id", "1", "--face-id", "5"]
    result = run.invoke(app, ["faces", "delete", staff, *ids, "--json"])
    assert json.loads(result.stdout)["deleted"] == 2
    assert [face["face_id"] for face in faces.faces[staff]] == [2, 3, 4]


def test_a_whole_collection_is_deleted_only_if_the_person_says_yes(
    run: CliRunner, faces: FakeFaces, staff: str
) -> None:
    refused = run.invoke(app, ["faces", "delete", staff, "--all"], input="n\n")
    assert refused.exit_code == 1
    assert staff in faces.collections
    assert "everybody in staff" in refused.stderr
    agreed = run.invoke(app, ["faces", "delete", staff, "--all"], input="y\n")
    assert agreed.exit_code == 0
    assert agreed.stdout.endswith(f"{RECEIPT}\n")  # after the answer, which the runner repeats
    assert staff not in faces.collections


def test_a_program_deletes_a_collection_without_being_asked(
    run: CliRunner, faces: FakeFaces, staff: str
) -> None:
    assert run.invoke(app, ["faces", "delete", staff, "--all", "--yes"]).exit_code == 0
    assert not faces.collections


@pytest.mark.parametrize("target", [[], ["--all", "--subject", "ann"], ["--face-id", "0"]])
def test_what_to_delete_has_to_be_clear(
    run: CliRunner, faces: FakeFaces, staff: str, target: list[str]
) -> None:
    assert run.invoke(app, ["faces", "delete", staff, *target]).exit_code == 2
    assert not faces.requests("delete")


def test_waiting_ends_when_no_copy_is_left(
    run: CliRunner, faces: FakeFaces, staff: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.client.faces_collection_commands.LOOK_EVERY", 0.0)
    faces.holders = [["snapshots a"], ["snapshots a"], []]
    result = run.invoke(app, ["faces", "delete", staff, "--subject", "ann", "--wait"])
    assert result.exit_code == 0, result.output
    assert "state\tpurged\n" in result.stdout
    assert result.stderr.count("Waiting for snapshots a.") == 1
    assert result.stderr.index(RECEIPT) < result.stderr.index("Waiting")
    assert len(faces.requests("receipt")) == 3


def test_a_receipt_says_what_still_holds_a_copy(run: CliRunner, faces: FakeFaces) -> None:
    faces.holders = [["snapshots a", "picture b"]]
    result = run.invoke(app, ["faces", "receipt", RECEIPT])
    assert result.exit_code == 0
    assert "state\tpending\n" in result.stdout
    assert "waiting for\tsnapshots a, picture b\n" in result.stdout
