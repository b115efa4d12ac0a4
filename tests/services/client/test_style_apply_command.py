"""`atelier style apply PHOTO...` as people and programs use it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.client.cli import app
from tests.services.client.fake_api import FakeApi
from tests.services.client.fake_style import AT_ONCE, FakeStyle
from tests.services.client.photo_folder import read_all
from workers.style.training_contract import ApplyRequest

pytestmark = pytest.mark.usefixtures("photo_folder")

OWN = b"drawn by hand"


@pytest.fixture
def run() -> CliRunner:
    return CliRunner()


def test_a_row_a_photo_tells_its_size_the_model_and_where_it_is(
    run: CliRunner, style: FakeStyle
) -> None:
    result = run.invoke(app, ["style", "apply", "photos", "--out", "new/out"])
    assert result.exit_code == 0, result.output
    rows = sorted(line.split("\t") for line in result.stdout.splitlines())
    assert [row[:4] for row in rows] == [
        ["photos/a.jpg", "64 x 48", "stained-glass", "new/out/a-stained-glass.jpg"],
        ["photos/b.png", "64 x 48", "stained-glass", "new/out/b-stained-glass.jpg"],
    ]
    assert all(row[4].endswith(" s") for row in rows)
    assert read_all("new/out") == {f"{photo}-stained-glass.jpg": AT_ONCE for photo in "ab"}
    request, _ = style.requests("apply")
    assert ApplyRequest.model_validate(request) == ApplyRequest(picture=request["picture"])


def test_every_option_of_the_contract_can_be_chosen(run: CliRunner, style: FakeStyle) -> None:
    style.add("waves@2")
    options = ["--model", "waves", "--size", "64", "--strength", "0.5", "--colours", "content"]
    result = run.invoke(app, ["style", "apply", "photos/a.jpg", *options])
    assert result.exit_code == 0, result.output
    (request,) = style.requests("apply")
    del request["picture"]
    assert request == {"model": "waves", "size": 64, "strength": 0.5, "colours": "content"}
    assert read_all("painted") == {"a-waves@2.jpg": AT_ONCE}


def test_json_is_one_object_a_photo_with_the_file_saved(run: CliRunner, style: FakeStyle) -> None:
    Path("photos/b.png").write_bytes(b"broken")
    result = run.invoke(app, ["style", "apply", "photos", "--json", "--parallel", "1"])
    assert result.exit_code == 1
    good, bad = (json.loads(line) for line in result.stdout.splitlines())
    assert good["saved"] == "painted/a-stained-glass.jpg"
    assert good["result"]["model"] == "stained-glass"
    assert (bad["photo"], bad["saved"], bad["result"]) == ("photos/b.png", None, None)
    assert bad["error"] == "invalid_input: The picture is damaged."
    assert len(style.requests("apply")) == 2


@pytest.mark.usefixtures("style")
def test_a_file_of_the_user_is_replaced_by_force_alone(run: CliRunner) -> None:
    Path("out").mkdir()
    Path("out/a-stained-glass.jpg").write_bytes(OWN)
    asked = ["style", "apply", "photos", "--out", "out"]
    result = run.invoke(app, asked)
    assert result.exit_code == 1
    assert "photos/a.jpg: Not replaced, see --force and --out: out/a-stained" in result.stderr
    assert read_all("out") == {"a-stained-glass.jpg": OWN, "b-stained-glass.jpg": AT_ONCE}
    assert run.invoke(app, [*asked, "--force"]).exit_code == 0
    assert Path("out/a-stained-glass.jpg").read_bytes() == AT_ONCE


@pytest.mark.usefixtures("style")
def test_no_photo_of_a_call_is_replaced_even_by_force(run: CliRunner) -> None:
    Path("photos/a-stained-glass.jpg").write_bytes(OWN)
    result = run.invoke(app, ["style", "apply", "photos", "--out", "./photos", "--force"])
    assert result.exit_code == 1
    assert "1 of 3 failed" in result.stderr
    assert Path("photos/a-stained-glass.jpg").read_bytes() == OWN


def test_the_default_folder_may_be_written_again_and_is_never_looked_at(
    run: CliRunner, style: FakeStyle
) -> None:
    for photos in ("photos", "**/*.[jp][pn]g"):
        assert run.invoke(app, ["style", "apply", photos]).exit_code == 0
    assert len(style.requests("apply")) == 4
    assert len(read_all("painted")) == 2
    result = run.invoke(app, ["style", "apply", "painted/*.jpg", "--out", "out"])
    assert result.exit_code == 0  # unless it is named
    assert len(read_all("out")) == 2


@pytest.mark.parametrize(
    "options",
    [
        ["photos/*.nothing"],
        [],
        ["photos", "--size", "8"],
        ["photos", "--strength", "1.5"],
        ["photos", "--model", "No Model"],
        ["photos", "--out", "photos/a.jpg"],
    ],
    ids=["no photo", "nothing", "size", "strength", "model", "out"],
)
def test_what_cannot_be_done_is_a_usage_error_before_anything_is_sent(
    run: CliRunner, api: FakeApi, options: list[str]
) -> None:
    result = run.invoke(app, ["style", "apply", *options])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert not api.requests
