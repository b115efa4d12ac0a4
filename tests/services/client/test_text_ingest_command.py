"""`atelier text ingest` from the command line."""

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.client.cli import app
from tests.services.client.fake_api import refuse
from tests.services.client.fake_text import FakeText

pytestmark = pytest.mark.usefixtures("folder", "text")


@pytest.fixture
def run() -> CliRunner:
    return CliRunner()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a corpus of two poems and a hidden file."""
    monkeypatch.chdir(tmp_path)
    poems = tmp_path / "poems"
    (poems / "old").mkdir(parents=True)
    (poems / "rose.txt").write_text("a rose is a rose")
    (poems / "old" / "fog.txt").write_text("the fog comes")
    (poems / ".git").write_text("nothing")
    return tmp_path


def test_documents_are_named_by_their_paths_as_given(
    run: CliRunner,
    text: FakeText,
) -> None:
    result = run.invoke(app, ["text", "ingest", "poems", "./poems"])
    assert result.exit_code == 0, result.output
    assert set(text.documents["poems"]) == {"poems/rose.txt", "poems/old/fog.txt"}
    rows = dict(line.split("\t") for line in result.stdout.splitlines())
    assert rows["documents"] == "2"
    assert rows["tokens"] == "8"
    assert rows["words"] == "6"


def test_what_is_not_said_about_the_tokeniser_is_left_to_the_server(
    run: CliRunner,
    text: FakeText,
) -> None:
    assert run.invoke(app, ["text", "ingest", "poems", "poems"]).exit_code == 0
    assert "tokeniser" not in text.requests("ingest")[0]


def test_a_second_run_counts_nothing_twice(run: CliRunner) -> None:
    run.invoke(app, ["text", "ingest", "poems", "poems"])
    result = run.invoke(app, ["text", "ingest", "poems", "poems/*.txt", "poems", "--json"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert (told["documents"], told["known"], told["total_documents"]) == (0, 2, 2)
    assert told["failed"] == []


def test_options_reach_the_server(run: CliRunner, text: FakeText) -> None:
    options = ["--unit", "characters", "--letters-only", "--keep-case", "--encoding", "cp1252"]
    result = run.invoke(app, ["text", "ingest", "poems", "poems", *options, "--replace"])
    assert result.exit_code == 0, result.output
    (request,) = text.requests("ingest")
    assert request["tokeniser"] == {"unit": "characters", "lower": False, "letters_only": True}
    assert (request["encoding"], request["replace"]) == ("cp1252", True)


def test_many_files_go_in_jobs_of_a_few_megabytes_and_a_few_at_once(
    run: CliRunner, text: FakeText, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.client.text_pieces.LOAD", 100)
    for number in range(40):
        (folder / f"{number:02}.txt").write_text("x" * 20 + f" {number}")
    result = run.invoke(app, ["text", "ingest", "many", "*.txt"])
    assert result.exit_code == 0, result.output
    sizes = [len(request["files"]) for request in text.requests("ingest")]
    assert sorted(sizes) == [4] * 10
    assert 1 < text.api.most_open <= 3
    assert len(text.documents["many"]) == 40


def test_one_bad_file_does_not_keep_its_neighbours_out(
    run: CliRunner, text: FakeText, folder: Path
) -> None:
    for number in range(9):
        (folder / f"{number}.txt").write_text("broken" if number == 5 else f"good {number}")
    result = run.invoke(app, ["text", "ingest", "some", "*.txt"])
    assert result.exit_code == 1
    assert len(text.documents["some"]) == 8
    assert "5.txt: invalid_input: 5.txt is broken." in result.stderr
    assert "1 could not be counted." in result.stderr
    assert "documents\t8\n" in result.stdout


def test_files_that_cannot_be_sent_are_named_and_the_others_counted(
    run: CliRunner, text: FakeText, folder: Path
) -> None:
    long = folder / ("x" * 100) / ("y" * 120)
    long.parent.mkdir()
    long.write_text("words")
    (folder / "empty.txt").touch()
    (folder / "two\nlines").write_text("words")
    Path(os.fsdecode(b"\xff.txt")).write_text("words")
    (folder / "picture.txt").write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    result = run.invoke(app, ["text", "ingest", "some", "."])
    assert result.exit_code == 1
    assert set(text.documents["some"]) == {"poems/rose.txt", "poems/old/fog.txt"}
    assert "empty.txt: it is empty." in result.stderr
    assert "picture.txt: it is neither text nor a zip." in result.stderr
    assert result.stderr.count("its name is longer than 200 characters") == 3


def test_a_file_that_is_too_large_is_named_with_the_servers_reason(
    run: CliRunner,
    text: FakeText,
) -> None:
    text.api.fail_next("POST", "/v1/blobs", refuse(413))
    result = run.invoke(app, ["text", "ingest", "poems", "poems"])
    assert result.exit_code == 1
    assert "poems/old/fog.txt: busy: Come back later." in result.stderr
    assert set(text.documents["poems"]) == {"poems/rose.txt"}


def test_a_vocabulary_of_another_tokeniser_ends_it(
    run: CliRunner,
    text: FakeText,
) -> None:
    run.invoke(app, ["text", "ingest", "poems", "poems"])
    result = run.invoke(app, ["text", "ingest", "poems", "poems", "--unit", "chinese"])
    assert result.exit_code == 1
    assert "other_tokeniser" in result.stderr
    assert len(text.requests("ingest")) == 2


def test_a_changed_document_is_refused_or_replaced(
    run: CliRunner, text: FakeText, folder: Path
) -> None:
    run.invoke(app, ["text", "ingest", "poems", "poems"])
    (folder / "poems" / "rose.txt").write_text("a thorn")
    refused = run.invoke(app, ["text", "ingest", "poems", "poems"])
    assert refused.exit_code == 1
    assert "poems/rose.txt: changed_document" in refused.stderr
    replaced = run.invoke(app, ["text", "ingest", "poems", "poems", "--replace"])
    assert replaced.exit_code == 0
    assert text.documents["poems"]["poems/rose.txt"] == "a thorn"


def test_standard_input_is_a_document_or_lines(
    run: CliRunner,
    text: FakeText,
) -> None:
    assert run.invoke(app, ["text", "ingest", "v", "-"], input="one two").exit_code == 0
    lines = ["text", "ingest", "v", "-", "--format", "lines", "--replace"]
    assert run.invoke(app, lines, input="one\ntwo\n").exit_code == 0
    first, second = text.requests("ingest")
    assert (first["format"], second["format"]) == ("text", "lines")
    assert first["file_ids"] == second["file_ids"] == ["stdin"]


@pytest.mark.parametrize("path", ["missing.txt", "no/*.txt"])
def test_nothing_found_is_a_usage_error(run: CliRunner, path: str) -> None:
    result = run.invoke(app, ["text", "ingest", "v", path])
    assert result.exit_code == 2
    assert f"No file found for {path!r}." in result.stderr
